"""The report on pseudo-labels, by hand-computed cases."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.training.label_quality import SEEN_UNKNOWN, Quality, agreement, judge_labels
from motionfit.training.label_quality_text import JSON, TEXT, markdown, notes, table, write_quality
from motionfit.training.manifest import Row
from motionfit.training.pseudo_labels import PseudoLabels
from motionfit.training.videos import Unreadable

TARGETS = {
    "a.mp4": [[0.9, 0.1], [0.4, 0.6]],
    "b.mp4": [[0.2, 0.8]],
    "c.mp4": [[0.8, 0.2], [0.7, 0.3]],
    "d.mp4": [[0.6, 0.4]],
}
TRUE = {"a.mp4": "jump", "b.mp4": "wave", "c.mp4": "wave", "d.mp4": "swim", "e.mp4": "jump"}


def labels(**changed: Any) -> PseudoLabels:
    targets = np.array([one for own in TARGETS.values() for one in own], np.float32)
    count = len(targets)
    record = {
        "kind": "soft",
        "granularity": "clip",
        "flow": None,
        "teacher": "0" * 64,
        "teacher_labels": ["jump", "wave"],
        "data": "1" * 64,
        "pieces": 12,
    }
    return PseudoLabels(
        videos=tuple(name for name, own in TARGETS.items() for _ in own),
        starts_us=np.arange(count),
        ends_us=np.arange(count) + 1,
        targets=targets,
        confidence=targets.max(axis=1),
        entropy=np.full(count, 0.5, np.float32),
        labels=("jump", "wave"),
        spec=ClipSpec(num_frames=2, frame_rate=6.0, short_side=24, crop=16),
        record=record | changed,
    )


def judged(
    *,
    seen: frozenset[str] | None,
    frame_rates: Mapping[str, float] = MappingProxyType({}),
    **changed: Any,
) -> Quality:
    rows = [
        Row(path=Path(name), name=name, label=label, columns={"label": label})
        for name, label in TRUE.items()
    ]
    return judge_labels(
        labels(**changed),
        rows,
        seen=seen,
        frame_rates=frame_rates,
        unreadable=[Unreadable(name="e.mp4", reason="damaged")],
        command="motionfit-train pseudo-label",
    )


def test_counts_balance_and_confidence() -> None:
    quality = judged(seen=frozenset())
    assert (quality.videos, quality.all_videos) == (4, 4)
    assert (quality.pieces, quality.all_pieces, quality.kept_share) == (6, 12, 0.5)
    assert [(one.label, one.pieces) for one in quality.classes] == [("jump", 4), ("wave", 2)]
    shares = [3.6 / 6, 2.4 / 6]
    assert [one.share for one in quality.classes] == pytest.approx(shares)
    assert quality.balance == pytest.approx(-sum(s * np.log2(s) for s in shares))
    assert quality.mean_confidence == pytest.approx(4.4 / 6)
    assert quality.mean_entropy == 0.5
    assert quality.unreadable == ("e.mp4: damaged",)


def test_the_unseen_are_told_apart_from_the_seen() -> None:
    quality = judged(seen=frozenset({"c.mp4"}))
    assert quality.unseen is not None
    assert quality.seen is not None
    # Of a, one of two pieces is right, of b its one; d is of no class that the teacher knows.
    assert (quality.unseen.pieces.count, quality.unseen.pieces.accuracy) == (3, 2 / 3)
    assert (quality.unseen.videos.count, quality.unseen.videos.accuracy) == (2, 1.0)
    assert (quality.seen.pieces.count, quality.seen.pieces.accuracy) == (2, 0.0)
    assert quality.seen.pieces.purity == 1


def test_within_a_frame_rate_only_its_own_classes_may_be_answered() -> None:
    rates = {"a.mp4": 25.0, "b.mp4": 25.0, "c.mp4": 29.970029}  # d is of no known class
    found = judged(seen=frozenset(), frame_rates=rates).unseen
    assert found is not None
    assert found.videos.accuracy == 2 / 3
    pal, ntsc = found.per_frame_rate
    assert (pal.frame_rate, pal.labels) == (25.0, ("jump", "wave"))
    assert (pal.videos.count, pal.videos.accuracy) == (2, 1.0)
    # All of c says jump, of which this rate has no video: among its own classes it is right.
    assert (ntsc.frame_rate, ntsc.labels) == (29.97, ("wave",))
    assert (ntsc.videos.count, ntsc.videos.accuracy) == (1, 1.0)
    text = markdown(judged(seen=frozenset(), frame_rates=rates))
    line = "accuracy of whole videos of 25 fps, among their 2 classes only: unseen videos"
    assert f"| {line} | 2 | 100.0% |" in text
    assert "of 29.97 fps" not in text  # with one class it cannot be wrong


def test_a_hard_label_of_another_rates_class_is_wrong() -> None:
    hard = labels(kind="hard")
    targets = np.eye(2, dtype=np.float32)[hard.targets.argmax(axis=1)]
    rows = [
        Row(path=Path(name), name=name, label=label, columns={}) for name, label in TRUE.items()
    ]
    found = judge_labels(
        replace(hard, targets=targets),
        rows,
        seen=frozenset(),
        frame_rates={"a.mp4": 25.0, "b.mp4": 25.0, "c.mp4": 30.0},
        unreadable=(),
        command="",
    ).unseen
    assert found is not None
    assert [one.videos.accuracy for one in found.per_frame_rate] == [1.0, 0.0]


def test_clusters_are_compared_within_a_frame_rate() -> None:
    rates = {"a.mp4": 25.0, "b.mp4": 25.0, "c.mp4": 25.0, "d.mp4": 30.0}
    found = judged(seen=frozenset(), frame_rates=rates, kind="clusters").unseen
    assert found is not None
    assert [(one.frame_rate, one.labels) for one in found.per_frame_rate] == [
        (25.0, ("jump", "wave")),
        (30.0, ("swim",)),
    ]
    assert [one.videos.accuracy for one in found.per_frame_rate] == [None, None]
    assert [one.videos.purity for one in found.per_frame_rate] == [2 / 3, 1.0]


def test_where_nobody_knows_what_was_seen_all_counts_as_seen() -> None:
    quality = judged(seen=None)
    assert quality.unseen is None
    assert quality.seen is not None
    assert quality.seen.videos.count == 3
    assert f"warning: {SEEN_UNKNOWN}" in notes(quality)
    assert any("not known" in note for note in notes(quality))


def test_clusters_have_purity_but_no_accuracy() -> None:
    quality = judged(seen=frozenset(), kind="clusters")
    assert quality.unseen is not None
    assert quality.unseen.pieces.accuracy is None
    assert quality.unseen.pieces.count == 6  # of classes that the teacher does not know too
    assert quality.unseen.pieces.purity == 3 / 6
    assert quality.mean_entropy is None


@pytest.mark.parametrize(
    ("answers", "truth", "purity", "nmi"),
    [
        ([0, 0, 1, 1], [1, 1, 0, 0], 1.0, 1.0),
        ([0, 0, 0, 0], [0, 0, 1, 1], 0.5, 0.0),
        ([0, 1, 0, 1], [0, 0, 1, 1], 0.5, 0.0),
        # Information: ln 2 of ln 2 and ln 4.
        ([0, 1, 2, 3], [0, 0, 1, 1], 1.0, 2 / 3),
    ],
)
def test_purity_and_mutual_information(
    answers: list[int], truth: list[int], purity: float, nmi: float
) -> None:
    found = agreement(np.array(answers), np.array(truth), clusters=True)
    assert found.purity == purity
    assert found.nmi == pytest.approx(nmi, abs=1e-12)


def test_the_report_is_read_back_and_shown(tmp_path: Path) -> None:
    quality = judged(seen=frozenset({"c.mp4"}))
    write_quality(quality, tmp_path)
    assert Quality.model_validate_json((tmp_path / JSON).read_text()) == quality
    text = (tmp_path / TEXT).read_text()
    assert text == markdown(quality)
    assert "| accuracy of single pieces: unseen videos | 3 | 66.7% |" in text
    assert "| accuracy of single pieces: seen videos | 2 | 0.0% |" in text
    console = Console(record=True, width=120, quiet=False)
    with console.capture() as shown:
        console.print(table(quality))
    assert "66.7%" in shown.get()
