import numpy as np
import pytest

from motionfit.training import scores
from motionfit.training.calibration import calibration_error
from motionfit.training.scores import Accuracy, Scored

LABELS = ("a", "b", "c")


def scored(
    label: str,
    values: tuple[float, float, float],
    *,
    name: str = "",
    group: str | None = None,
    rate: float | None = 25.0,
    answered: bool = True,
) -> Scored:
    return Scored(
        video=name or f"{label}{values}",
        label=label,
        group=group,
        frame_rate=rate,
        scores=np.array(values),
        answered=answered,
    )


def judged(*videos: Scored) -> Accuracy:
    return scores.judge(videos, dataset="made", labels=LABELS, unreadable=(), unknown=None, seed=0)


def test_top1_nll_and_ranks_are_those_worked_out_by_hand() -> None:
    found = judged(scored("a", (0.7, 0.2, 0.1)), scored("c", (0.5, 0.3, 0.2)))
    assert found.top1.value == 0.5
    assert [outcome.rank for outcome in found.outcomes] == [0, 2]
    assert [outcome.best for outcome in found.outcomes] == ["a", "a"]
    expected = -(np.log(0.7) + np.log(0.2)) / 2
    assert found.nll.value == pytest.approx(expected, rel=1e-5)
    assert [(one.label, one.videos, one.top1) for one in found.per_class] == [
        ("a", 1, 1.0),
        ("c", 1, 0.0),
    ]


def test_top5_is_left_out_where_it_says_nothing() -> None:
    assert judged(scored("a", (0.7, 0.2, 0.1))).top5 is None


def test_a_class_without_probability_costs_much_but_not_everything() -> None:
    found = judged(scored("b", (1.0, 0.0, 0.0)))
    assert found.nll.value == pytest.approx(-np.log(1e-12), rel=1e-5)


def test_calibration_error_is_the_gap_of_each_bin_weighed_by_its_videos() -> None:
    # Bins of 1/15: 0.90 and 0.92 share one, 0.5 is alone.
    found = calibration_error(np.array([0.90, 0.92, 0.5]), right=np.array([1.0, 0.0, 1.0]))
    assert found == pytest.approx((2 * abs(0.5 - 0.91) + abs(1 - 0.5)) / 3, rel=1e-5)
    assert calibration_error(np.array([1.0, 0.0]), right=np.array([1.0, 0.0])) == 0


def test_none_of_these_is_counted_apart() -> None:
    found = judged(
        scored("a", (0.7, 0.2, 0.1)),
        scored("b", (0.4, 0.3, 0.3), answered=False),
        scored("c", (0.6, 0.3, 0.1)),
    )
    assert found.answered.value == pytest.approx(2 / 3, rel=1e-5)
    assert found.accuracy_of_answered is not None
    assert found.accuracy_of_answered.value == 0.5
    nobody = judged(scored("a", (0.4, 0.3, 0.3), answered=False))
    assert nobody.accuracy_of_answered is None


def test_look_alikes_are_resampled_together() -> None:
    rng = np.random.default_rng(0)
    videos = []
    for number in range(12):
        right = rng.random() < 0.5
        values = (0.8, 0.1, 0.1) if right else (0.1, 0.8, 0.1)
        videos += [scored("a", values, name=f"{number}/{i}", group=f"g{number}") for i in range(10)]
    alone = [
        scored(v.label, tuple(v.scores), name=v.video)  # type: ignore[arg-type]
        for v in videos
    ]
    grouped, apart = judged(*videos), judged(*alone)
    assert (grouped.resampled_by, grouped.clusters) == ("group and label", 12)
    assert (apart.resampled_by, apart.clusters) == ("video", 120)
    assert grouped.top1.value == apart.top1.value
    assert grouped.top1.high - grouped.top1.low > 2 * (apart.top1.high - apart.top1.low)


def test_groups_of_different_classes_are_different_clusters() -> None:
    found = judged(
        scored("a", (0.7, 0.2, 0.1), group="g1"), scored("b", (0.2, 0.7, 0.1), group="g1")
    )
    assert found.clusters == 2


def test_a_frame_rate_that_gives_the_class_away_is_seen_through() -> None:
    # A network that knows only the rate: a and b are filmed at 25, c at 29.97 frames a second.
    cadence = (0.45, 0.45, 0.1)
    found = judged(
        scored("a", cadence, name="1"),
        scored("b", cadence, name="2"),
        scored("c", (0.1, 0.1, 0.8), name="3", rate=30_000 / 1001),
        scored("c", (0.8, 0.1, 0.1), name="4", rate=29.97),
        scored("c", (0.8, 0.1, 0.1), name="5", rate=None),
    )
    slow, fast = found.per_frame_rate
    assert (slow.frame_rate, slow.videos, slow.labels) == (25.0, 2, ("a", "b"))
    assert slow.top1_among_labels.value == 0.5
    assert (fast.frame_rate, fast.videos, fast.labels) == (29.97, 2, ("c",))
    assert (fast.top1.value, fast.top1_among_labels.value) == (0.5, 1.0)


def test_unknown_videos_are_right_when_unanswered() -> None:
    found = scores.judge_unknown([True, False, False, False], unreadable=(), seed=0)
    assert (found.videos, found.none_of_these.value) == (4, 0.75)
