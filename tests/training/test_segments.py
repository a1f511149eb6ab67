"""Cutting videos into pieces."""

from typing import Any

import numpy as np
import pytest

from motionfit.training.segments import Segments, changes, cut
from tests.training.made_predictions import A, B, C, predictions_of


def listed(pieces: Segments) -> list[tuple[str, int, int, list[int]]]:
    """Name, start and end in milliseconds, and clips of each segment."""
    return [
        (name, int(start) // 1000, int(end) // 1000, clips.tolist())
        for name, start, end, clips in zip(
            pieces.videos, pieces.starts_us, pieces.ends_us, pieces.members, strict=True
        )
    ]


# Of a second, four clips: the grid leaves 100 ms at both ends.
GRID = {"a": [100, 300, 500, 700], "b": [50, 150]}


def test_each_clip_is_a_piece() -> None:
    assert listed(
        cut(predictions_of(starts={"a": [100, 300]}), granularity="clip", segments=3)
    ) == [
        ("a", 100, 300, [0]),
        ("a", 300, 500, [1]),
    ]


def test_the_whole_video_is_a_piece_up_to_its_end() -> None:
    assert listed(cut(predictions_of(starts=GRID), granularity="video", segments=3)) == [
        ("a", 0, 1000, [0, 1, 2, 3]),
        ("b", 0, 400, [4, 5]),
    ]


def test_tsn_pieces_are_equal_and_have_the_clips_with_their_middle_inside() -> None:
    assert listed(cut(predictions_of(starts=GRID), granularity="tsn", segments=2)) == [
        ("a", 0, 500, [0, 1]),
        ("a", 500, 1000, [2, 3]),
        ("b", 0, 200, [4]),
        ("b", 200, 400, [5]),
    ]


def test_a_video_of_few_clips_is_cut_into_as_many_pieces() -> None:
    assert listed(cut(predictions_of(starts={"a": [0]}), granularity="tsn", segments=5)) == [
        ("a", 0, 200, [0])
    ]


def test_actionbytes_cut_where_the_features_change() -> None:
    predictions = predictions_of(starts=GRID, embeddings=[A, A, B, B, C, C])
    assert listed(cut(predictions, granularity="actionbytes", segments=3)) == [
        ("a", 0, 500, [0, 1]),
        ("a", 500, 1000, [2, 3]),
        ("b", 0, 400, [4, 5]),
    ]


@pytest.mark.parametrize(
    ("embeddings", "after"),
    [
        ([A], []),
        ([A, B], []),  # nothing to compare the one distance with
        ([A, A, A], []),
        ([A, A, B], [1]),
        ([A, B, B, B, C], [0, 3]),
        ([A, A, B, C, C], [1]),  # of two equal changes in a row the first
        ([A, A, (5.0, 0.0, 0.0)], []),  # longer, in the same direction
    ],
)
def test_a_change_is_a_peak_above_the_mean(embeddings: Any, after: list[int]) -> None:
    assert changes(np.array(embeddings, np.float32)).tolist() == after


def test_means_are_over_the_clips_of_a_piece() -> None:
    pieces = cut(predictions_of(starts=GRID), granularity="tsn", segments=2)
    values = np.array([[0.0], [1.0], [2.0], [4.0], [8.0], [16.0]], np.float32)
    assert pieces.means(values).tolist() == [[0.5], [3.0], [8.0], [16.0]]
