"""Pseudo-labels go to a file and come back the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.training.pseudo_labels import PseudoLabels, read_labels, write_labels

SPEC = ClipSpec(num_frames=2, frame_rate=6.0, short_side=24, crop=16)


def made(targets: Any) -> PseudoLabels:
    rows = np.array(targets, np.float32)
    return PseudoLabels(
        videos=tuple(f"wave/{n}.mp4" for n in range(len(rows))),
        starts_us=np.arange(len(rows), dtype=np.int64),
        ends_us=np.arange(len(rows), dtype=np.int64) + 7,
        targets=rows,
        confidence=rows.max(axis=1),
        entropy=np.linspace(0, 1, len(rows), dtype=np.float32),
        labels=("jump", "wave"),
        spec=SPEC,
        record={"kind": "any", "seed": 3},
    )


@pytest.mark.parametrize(
    "targets", [[[0.25, 0.75], [1.0, 0.0], [0.1, 0.9]], [[0, 1], [1, 0]]], ids=["soft", "hard"]
)
def test_what_is_written_is_read_back_bit_for_bit(tmp_path: Path, targets: Any) -> None:
    labels = made(targets)
    write_labels(tmp_path / "labels.parquet", labels)
    back = read_labels(tmp_path / "labels.parquet")
    assert (back.videos, back.labels) == (labels.videos, labels.labels)
    assert (back.spec, back.record) == (labels.spec, labels.record)
    for name in ("starts_us", "ends_us", "targets", "confidence", "entropy"):
        one, other = getattr(labels, name), getattr(back, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_the_columns_are_those_that_are_promised(tmp_path: Path) -> None:
    columns = ["video", "start_us", "end_us", "label", "confidence", "entropy"]
    write_labels(tmp_path / "hard.parquet", made([[0, 1], [1, 0]]))
    table = pq.read_table(tmp_path / "hard.parquet")
    assert table.column_names == columns
    assert table["label"].to_pylist() == ["wave", "jump"]
    write_labels(tmp_path / "soft.parquet", made([[0.25, 0.75]]))
    assert pq.read_table(tmp_path / "soft.parquet").column_names == [*columns, "distribution"]


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there are no pseudo-labels at"):
        read_labels(tmp_path / "labels.parquet")
    (tmp_path / "labels.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DatasetError, match="holds no pseudo-labels"):
        read_labels(tmp_path / "labels.parquet")
    pq.write_table(pq.read_table(_written(tmp_path)).drop(["confidence"]), tmp_path / "less")
    with pytest.raises(DatasetError, match="holds no pseudo-labels"):
        read_labels(tmp_path / "less")


def _written(folder: Path) -> Path:
    write_labels(folder / "whole.parquet", made([[0, 1]]))
    return folder / "whole.parquet"


def test_fields_that_do_not_fit_together_are_refused() -> None:
    labels = made([[0, 1], [1, 0]])
    with pytest.raises(DatasetError, match="2 pieces of video, but entropy 1"):
        replace(labels, entropy=labels.entropy[:1])
    with pytest.raises(DatasetError, match=r"targets must be \(N, 1\)"):
        replace(labels, labels=("wave",))
    with pytest.raises(DatasetError, match="must end after its start"):
        replace(labels, ends_us=labels.starts_us)
