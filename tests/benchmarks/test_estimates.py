import math

import numpy as np
import pytest

from motionfit.benchmarks import estimates


@pytest.mark.parametrize(("share", "needed"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662)])
def test_samples_needed_follow_from_the_binomial(share: float, needed: int) -> None:
    def chance_of_at_most_one_over(n: int) -> float:
        return sum(math.comb(n, k) * (1 - share) ** k * share ** (n - k) for k in (0, 1))

    assert estimates.samples_needed(share) == needed
    assert chance_of_at_most_one_over(needed) <= 0.01 < chance_of_at_most_one_over(needed - 1)


@pytest.mark.parametrize(("share", "needed"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662)])
def test_a_quantile_is_refused_one_sample_short(share: float, needed: int) -> None:
    samples = [float(i) for i in range(needed)]
    assert estimates.quantile(samples, share=share) is not None
    assert estimates.quantile(samples[1:], share=share) is None
    assert estimates.too_few(needed - 1, share=share) == (
        f"n too small: {needed - 1} samples, {needed} needed"
    )
    assert estimates.too_few(needed, share=share) is None


def test_a_quantile_is_a_sample_that_was_seen() -> None:
    samples = [float(i) for i in range(1, 101)]
    assert estimates.quantile(samples, share=0.9) == 90.0
    assert estimates.quantile(samples[::-1], share=0.9) == 90.0


def test_a_share_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"from 0.5 up to 1, got 1"):
        estimates.samples_needed(1.0)


def test_the_median_is_refused_under_eleven_samples() -> None:
    assert estimates.median([1.0] * 10, seed=0) is None
    assert estimates.median([1.0] * 11, seed=0) is not None


def test_the_interval_of_the_median_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(60):
        found = estimates.median(rng.exponential(size=41), seed=seed)
        assert found is not None
        covered += found.low <= math.log(2) <= found.high
    assert covered >= 51  # 57 expected of 60; fewer has a chance of 1 %


def test_intervals_are_the_same_for_the_same_seed() -> None:
    samples = list(np.random.default_rng(0).normal(size=50))
    assert estimates.median(samples, seed=3) == estimates.median(samples, seed=3)
    assert estimates.median(samples, seed=3) != estimates.median(samples, seed=4)


def test_pairs_cancel_what_slows_a_whole_round() -> None:
    rng = np.random.default_rng(2)
    slow = rng.choice([1.0, 3.0], size=64)
    paired = estimates.paired_ratio(2 * slow, slow, seed=0)
    separate = estimates.ratio_of_medians(2 * slow, slow[::-1], seed=0)
    assert paired is not None
    assert separate is not None
    assert (paired.low, paired.value, paired.high) == (2.0, 2.0, 2.0)
    assert separate.high - separate.low > 1


def test_pairs_need_equal_numbers_of_samples() -> None:
    with pytest.raises(ValueError, match="got 3 and 2"):
        estimates.paired_ratio([1.0, 2.0, 3.0], [1.0, 2.0], seed=0)


def test_the_ratio_of_separate_runs_says_when_nothing_changed() -> None:
    rng = np.random.default_rng(3)
    ratio = estimates.ratio_of_medians(rng.normal(10, 1, 80), rng.normal(10, 1, 80), seed=0)
    assert ratio is not None
    assert ratio.low < 1 < ratio.high
    assert estimates.ratio_of_medians([1.0] * 80, [1.0] * 10, seed=0) is None
