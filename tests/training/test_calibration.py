import numpy as np
import pytest

from motionfit.inference.prediction import video_scores
from motionfit.training.calibration import (
    Labels,
    Logits,
    abstain_threshold,
    calibrate,
    expected_calibration_error,
    scores_of,
)


def mistaken(*, factor: float, videos: int = 600) -> tuple[Logits, Labels]:
    """Videos whose labels are drawn from their scores; then all logits are made too large."""
    numbers = np.random.default_rng(0)
    of_videos = 2.5 * numbers.normal(size=(videos, 1, 5))
    logits = (of_videos + 0.5 * numbers.normal(size=(videos, 2, 5))).astype(np.float32)
    scores = [video_scores(one, temperature=1.0) for one in logits]
    labels = np.array([numbers.choice(5, p=one) for one in scores])
    return logits * np.float32(factor), labels


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_the_temperature_that_made_the_logits_is_found_and_makes_scores_honest(
    factor: float,
) -> None:
    result = calibrate(*mistaken(factor=factor))
    assert result.temperature == pytest.approx(factor, rel=0.1)
    assert result.ece_before > 0.1
    assert result.ece_after < 0.05
    assert result.nll_after < result.nll_before


def test_a_few_videos_that_are_all_right_do_not_make_every_score_certain() -> None:
    logits = np.tile(np.array([[[1.0, 0.0]]], np.float32), (4, 2, 1))
    result = calibrate(logits, np.zeros(4, np.int64))
    assert result.temperature == 0.25
    assert scores_of(logits, temperature=result.temperature).max() < 0.99


def test_a_student_that_knows_nothing_gets_a_temperature_inside_the_range() -> None:
    numbers = np.random.default_rng(1)
    logits = numbers.normal(0, 3, (200, 2, 4)).astype(np.float32)
    result = calibrate(logits, numbers.integers(0, 4, 200))
    assert 1.0 < result.temperature <= 20.0
    assert result.ece_after < result.ece_before


def test_three_of_four_answers_over_the_threshold_are_right_and_no_lower_one_will_do() -> None:
    best = np.linspace(0.9, 0.51, 40)
    scores = np.stack([best, 1 - best], axis=1)
    labels = np.array([0] * 20 + [1, 0, 1, 1] * 5)
    threshold = abstain_threshold(scores, labels)
    right = labels == 0
    assert right[best >= threshold].mean() >= 0.75
    for lower in best[best < threshold]:
        assert right[best >= lower].mean() < 0.75
    assert 0.51 < threshold < 0.9


def test_nothing_is_withheld_where_all_answers_are_good_enough_or_none_can_be() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    assert abstain_threshold(scores, np.array([0, 0, 0, 1])) == 0.0
    assert abstain_threshold(scores, np.array([1, 1, 1, 1])) == 0.0


@pytest.mark.parametrize(
    ("best", "right", "threshold"),
    [
        ([0.9, 0.9, 0.9, 0.9, 0.5], [1, 0, 0, 0, 0], 0.0),  # four that cannot be told apart
        ([0.99996, 0.99996, 0.99996, 0.99993, 0.99992], [1, 1, 1, 0, 0], 0.0),  # nor these
        ([0.9, 0.9, 0.9, 0.9, 0.5], [1, 1, 0, 1, 0], 0.9),
    ],
)
def test_a_threshold_divides_no_equal_scores(
    best: list[float], right: list[int], threshold: float
) -> None:
    scores = np.stack([np.array(best), 1 - np.array(best)], axis=1)
    assert abstain_threshold(scores, 1 - np.array(right)) == threshold


def test_calibration_error_is_the_mean_gap_of_confidence_and_accuracy() -> None:
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [1.0, 0.0]])
    # In the bin of 0.9 one of two is right, in that of 0.8 none of one, in that of 1.0 all.
    labels = np.array([0, 1, 0, 0])
    assert expected_calibration_error(scores, labels) == pytest.approx((0.8 + 0.8 + 0.0) / 4)
