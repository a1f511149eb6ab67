"""Predictions are files that together are the whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionfit.inference.errors import DatasetError
from motionfit.training.predictions import (
    Predictions,
    missing_parts,
    part_file,
    read_predictions,
    write_part,
)
from motionfit.training.videos import Unreadable
from tests.training.made_predictions import predictions_of

STARTS = {"a": [0, 100], "b": [0], "é": [300, 400, 500]}


def whole(parts: int) -> Predictions:
    made = predictions_of(starts=STARTS)
    numbers = np.random.default_rng(0)
    return replace(
        made,
        logits=numbers.normal(size=made.logits.shape).astype(np.float32),
        embeddings=numbers.normal(size=made.embeddings.shape).astype(np.float32),
        unreadable=(Unreadable(name="c", reason="damaged"),),
        about=replace(made.about, parts=parts),
    )


def taken(made: Predictions, clips: list[int], *, unreadable: bool = False) -> Predictions:
    return replace(
        made,
        videos=tuple(made.videos[clip] for clip in clips),
        starts_us=made.starts_us[clips],
        ends_us=made.ends_us[clips],
        logits=made.logits[clips],
        embeddings=made.embeddings[clips],
        unreadable=made.unreadable if unreadable else (),
    )


def assert_equal(one: Predictions, other: Predictions) -> None:
    assert (one.videos, one.unreadable, one.about) == (other.videos, other.unreadable, other.about)
    for name in ("starts_us", "ends_us", "logits", "embeddings"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_parts_merged_in_any_order_equal_the_whole(tmp_path: Path, order: list[int]) -> None:
    made = whole(parts=3)
    clips = ([0, 1, 2], [3, 4, 5], [])
    for number, place in enumerate(order):
        write_part(part_file(tmp_path, number), taken(made, clips[place], unreadable=place == 2))
    assert_equal(read_predictions(tmp_path), made)


def test_one_part_is_the_whole(tmp_path: Path) -> None:
    made = whole(parts=1)
    write_part(part_file(tmp_path, 0), made)
    assert_equal(read_predictions(tmp_path), made)


def test_parts_that_are_missing_are_told(tmp_path: Path) -> None:
    made = whole(parts=3)
    assert missing_parts(tmp_path, made.about) == (0, 1, 2)
    with pytest.raises(DatasetError, match="there are no predictions in"):
        read_predictions(tmp_path)
    write_part(part_file(tmp_path, 1), taken(made, [0]))
    assert missing_parts(tmp_path, made.about) == (0, 2)
    with pytest.raises(DatasetError, match="lacks 2 of 3 parts"):
        read_predictions(tmp_path)


def test_a_folder_of_another_teacher_is_refused(tmp_path: Path) -> None:
    made = whole(parts=1)
    write_part(part_file(tmp_path, 0), made)
    other = replace(made.about, teacher="2" * 64, grid_clips=2)
    with pytest.raises(DatasetError, match="differ in teacher and grid clips: give a new"):
        missing_parts(tmp_path, other)


def test_a_file_that_is_no_part_is_refused(tmp_path: Path) -> None:
    part_file(tmp_path, 0).write_bytes(b"no parquet at all")
    with pytest.raises(DatasetError, match=r"part-00000.parquet holds no predictions"):
        read_predictions(tmp_path)
