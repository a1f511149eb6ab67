"""How right pseudo-labels are, read from the reports beside them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from motionfit.benchmarks.experiment.graph import answers, in_order
from motionfit.benchmarks.experiment.labels import label_accuracies
from motionfit.benchmarks.experiment.protocol import MOTIONFIT, PROTOCOL, Cell, Entry
from motionfit.training.label_quality import Agreement, Quality, Truth

JOBS = in_order(
    job
    for split in PROTOCOL.splits
    for job in answers(
        Entry(cell=Cell(split=split, seed=0, labels=3), arm=MOTIONFIT),
        protocol=PROTOCOL,
        data=Path("/videos"),
    )
)


def write_quality(
    folder: Path, *, unseen: tuple[float, float] | None, accuracy_of_seen: float | None = 0.75
) -> None:
    def agreement(accuracy: float | None) -> Agreement:
        return Agreement(count=8, accuracy=accuracy, purity=1.0, nmi=1.0)

    seen = Truth(pieces=agreement(accuracy_of_seen), videos=agreement(1.0))
    quality = Quality(
        created_utc=datetime(2026, 1, 2, tzinfo=UTC),
        command="motionfit-train pseudo-label",
        record={},
        videos=1,
        all_videos=1,
        pieces=8,
        all_pieces=8,
        classes=(),
        balance=1.0,
        mean_confidence=1.0,
        mean_entropy=0.0,
        unseen=unseen and Truth(pieces=agreement(unseen[0]), videos=agreement(unseen[1])),
        seen=seen,
        unreadable=(),
        warnings=(),
    )
    folder.mkdir(parents=True)
    (folder / "quality.json").write_text(quality.model_dump_json())


def test_shares_are_means_over_the_cells(tmp_path: Path) -> None:
    write_quality(tmp_path / "split2-seed0-labels3" / "labels-flow", unseen=(0.3, 0.4))
    write_quality(tmp_path / "split3-seed0-labels3" / "labels-flow", unseen=(0.5, 0.8))
    [one] = label_accuracies(JOBS, runs=tmp_path)
    assert (one.name, one.cells) == ("labels3/labels-flow", 2)
    shares = (one.unseen_pieces, one.unseen_videos, one.seen_pieces)
    assert shares == pytest.approx((0.4, 0.6, 0.75))


def test_labels_without_true_classes_and_clusters_have_no_share(tmp_path: Path) -> None:
    write_quality(tmp_path / "split2-seed0-labels3" / "labels-flow", unseen=None)
    write_quality(
        tmp_path / "split3-seed0-labels3" / "labels-flow", unseen=(0.5, 0.8), accuracy_of_seen=None
    )
    assert label_accuracies(JOBS, runs=tmp_path) == ()
