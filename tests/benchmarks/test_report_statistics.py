import numpy as np
import pytest

from motionfit.benchmarks.report.statistics import exponent, median, paired_ratio, quantile


def test_processes_that_differ_make_the_interval_wider() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.normal(100, 1, 30) for _ in range(5)]
    shifted = [one + 10 * number for number, one in enumerate(noise)]
    alike, different = median(noise, seed=0), median(shifted, seed=0)
    assert alike is not None
    assert different is not None
    assert alike.high - alike.low < 1.5
    # As wide as the processes are apart, not as samples of one are.
    assert different.high - different.low > 15
    assert different.low < different.value < different.high


def test_few_samples_have_no_median() -> None:
    assert median([np.ones(5), np.ones(5)], seed=0) is None
    assert median([np.ones(6), np.ones(6)], seed=0) is not None
    assert median([], seed=0) is None


def test_a_ratio_is_taken_within_a_round() -> None:
    slow_moments = np.array([1.0, 1, 8, 1, 1, 5, 1, 1, 1, 2, 1])
    found = paired_ratio([3 * slow_moments] * 5, [slow_moments] * 5, seed=0)
    assert found is not None
    assert (found.low, found.value, found.high) == (3, 3, 3)


def test_a_percentile_counts_the_samples_of_all_processes() -> None:
    thirteen = np.arange(13.0)
    assert quantile([thirteen] * 4, share=0.9) is None
    assert quantile([thirteen] * 5, share=0.9) == 11


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_an_exponent_is_found(power: float) -> None:
    rng = np.random.default_rng(1)
    sizes = (1, 2, 4, 8)
    points = [[size**power * rng.normal(100, 2, 11) for _ in range(5)] for size in sizes]
    found = exponent(sizes, points, seed=0)
    assert found is not None
    assert found.low <= power + 0.03
    assert found.high >= power - 0.03
    assert abs(found.value - power) < 0.05


def test_two_sizes_are_no_curve() -> None:
    assert exponent((1, 2), [[np.ones(11)]] * 2, seed=0) is None
