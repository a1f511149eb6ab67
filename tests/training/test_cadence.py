from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from motionfit.training.cadence import Cadence, judge_cadence, verdict
from motionfit.training.manifest import Row
from motionfit.training.watching import Seen

LABELS = ("a", "b")
PAL, NTSC = Fraction(25), Fraction(30_000, 1_001)


def seen(number: int, *, label: str, rate: Fraction, stored: int, retimed: int | None) -> Seen:
    """A video whose best class is number ``stored``, and number ``retimed`` once re-timed."""
    name = f"{label}{number}.mp4"
    answers = np.eye(2)
    return Seen(
        row=Row(path=Path(name), name=name, label=label, columns={"label": label}),
        frame_rate=float(rate),
        scores=answers[[stored]],
        right_views=1.0,
        retimed_to=None if retimed is None else (NTSC if rate == PAL else PAL),
        retimed_scores=None if retimed is None else answers[retimed],
    )


def judged(videos: Sequence[Seen], *, videos_a_cluster: int = 1) -> Cadence:
    clusters = np.arange(len(videos)) // videos_a_cluster
    return judge_cadence(videos, labels=LABELS, clusters=clusters, seed=0)


def reader(*, videos: int) -> list[Seen]:
    """A network that sees nothing but the rate: a is filmed at 25, b at 29.97."""
    return [
        seen(i, label="ab"[i % 2], rate=(PAL, NTSC)[i % 2], stored=i % 2, retimed=1 - i % 2)
        for i in range(videos)
    ]


def test_a_network_that_sees_only_the_rate_is_found_out() -> None:
    found = judged(reader(videos=20))
    assert (found.top1.value, found.retimed_top1.value, found.difference.value) == (1.0, 0.0, -1.0)
    assert found.reads_cadence is True
    assert "the network reads the cadence: top-1 changes by -100.0 points" in verdict(found)
    assert [(one.from_rate, one.to_rate, one.videos) for one in found.changes] == [
        (25.0, 29.97, 10),
        (29.97, 25.0, 10),
    ]
    assert [one.difference.value for one in found.changes] == [-1.0, -1.0]
    assert len(found.changed) == 20
    assert (found.changed[0].best, found.changed[0].retimed_best) == ("a", "b")


def test_a_few_changes_either_way_are_noise() -> None:
    steady = [seen(i, label="a", rate=PAL, stored=0, retimed=0) for i in range(40)]
    worse = [seen(i, label="a", rate=PAL, stored=0, retimed=1) for i in range(40, 43)]
    better = [seen(i, label="a", rate=PAL, stored=1, retimed=0) for i in range(43, 45)]
    found = judged([*steady, *worse, *better])
    assert found.difference.low < 0 < found.difference.high
    assert found.reads_cadence is False
    assert verdict(found).startswith("no sign that the network reads the cadence")


def test_pairs_show_a_small_fall_that_separate_intervals_would_hide() -> None:
    half_right = [seen(i, label="a", rate=PAL, stored=i % 2, retimed=i % 2) for i in range(90)]
    fall = [seen(i, label="a", rate=PAL, stored=0, retimed=1) for i in range(90, 100)]
    found = judged([*half_right, *fall])
    assert found.retimed_top1.high > found.top1.low
    assert found.reads_cadence is True


def test_look_alikes_count_once() -> None:
    assert judged(reader(videos=20), videos_a_cluster=5).clusters == 4


def test_too_few_clusters_allow_no_verdict() -> None:
    found = judged(reader(videos=9))
    assert found.difference.high < 0
    assert found.reads_cadence is None
    assert "9 independent videos or groups are too few" in verdict(found)


def test_videos_that_were_not_retimed_count_nowhere() -> None:
    found = judged([*reader(videos=10), seen(10, label="a", rate=PAL, stored=1, retimed=None)])
    assert found.videos == 10
    assert found.top1.value == 1.0


@pytest.mark.parametrize("rate", [Fraction(2997, 100), NTSC])
def test_rates_that_files_write_differently_are_one(rate: Fraction) -> None:
    videos = [seen(i, label="b", rate=r, stored=1, retimed=1) for i, r in enumerate([NTSC, rate])]
    assert [one.videos for one in judged(videos).changes] == [2]
