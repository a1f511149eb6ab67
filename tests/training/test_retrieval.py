from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from motionfit.training.embeddings import Embedded
from motionfit.training.manifest import Row
from motionfit.training.retrieval import neighbours, recalls, retrieve
from motionfit.training.retrieval_by_rate import by_frame_rate


def points(*where: tuple[float, float]) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return np.array(where, np.float32)


def videos(
    labels: str, *where: tuple[float, float], prefix: str, rates: tuple[float, ...] | None = None
) -> Embedded:
    """Videos whose classes are single letters, each in a group of its own."""
    return Embedded(
        rows=tuple(
            Row(path=Path(f"{prefix}{n}"), name=f"{prefix}{n}", label=label, columns={})
            for n, label in enumerate(labels)
        ),
        frame_rates=rates or (25.0,) * len(labels),
        embeddings=points(*where),
        unreadable=(),
    )


def test_nearest_is_by_the_angle_seen_from_the_middle_of_the_gallery() -> None:
    # The gallery's middle is (10, 10): from there they lie right, up, left and down.
    gallery = points((11, 10), (10, 13), (8, 10), (10, 8))
    order = neighbours(points((15, 11), (10.1, 10.5)), gallery=gallery + points((0, -0.25))[0])
    assert order[0].tolist() == [0, 1, 3, 2]
    assert order[1, 0] == 1


def test_equally_near_videos_keep_the_order_of_the_gallery() -> None:
    gallery = points((1, 0), (-1, 0), (2, 0), (-2, 0))
    assert neighbours(points((3, 0)), gallery=gallery).tolist() == [[0, 2, 1, 3]]
    assert neighbours(points((0, 0)), gallery=gallery).tolist() == [[0, 1, 2, 3]]


def test_the_length_of_an_embedding_does_not_matter_and_many_queries_equal_single_ones() -> None:
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(40, 8)).astype(np.float32)
    gallery -= gallery.mean(axis=0)
    queries = rng.normal(size=(300, 8)).astype(np.float32)
    order = neighbours(queries, gallery=gallery)
    assert order.tolist() == neighbours(queries * 7, gallery=gallery).tolist()
    assert order[299:].tolist() == neighbours(queries[299:], gallery=gallery).tolist()
    assert np.array_equal(np.sort(order, axis=1), np.tile(np.arange(40), (300, 1)))


def test_what_a_query_found_and_where_its_class_first_comes() -> None:
    gallery = videos("abab", (1, 0), (0, 1), (-1, 0), (0, -1), prefix="g")
    queries = videos("ab", (3, 1), (2, 0.1), prefix="q")
    first, second = retrieve(queries, gallery=gallery)
    assert first.nearest == ("g0", "g1", "g3", "g2")
    assert first.nearest_labels == ("a", "b", "b", "a")
    assert (first.rank, second.rank) == (0, 1)
    assert second.nearest[:2] == ("g0", "g1")


def test_recall_is_the_share_of_queries_with_their_class_among_the_k_nearest() -> None:
    gallery = videos("aabbbb", (5, 0), (4, -1), (0, 5), (-5, 0), (0, -5), (-4, 1), prefix="g")
    queries = videos("abbb", (5, 0.1), (5, 0.1), (0, 5), (-5, 0), prefix="q")
    found = retrieve(queries, gallery=gallery)
    assert [query.rank for query in found] == [0, 2, 0, 0]
    at_1, at_5 = recalls(found, queries=queries.rows, gallery=gallery.rows, seed=0)
    assert (at_1.k, at_1.recall.value, at_5.k, at_5.recall.value) == (1, 0.75, 5, 1.0)
    assert at_1.recall.low < 0.75 < at_1.recall.high
    # One query of two in six, three of four in six.
    assert at_1.by_chance == pytest.approx((2 / 6 + 3 * 4 / 6) / 4)


def test_chance_is_that_of_drawing_videos_blindly() -> None:
    labels = "aabbbbbbbb"
    gallery = videos(labels, *((float(n), 1.0) for n in range(10)), prefix="g")
    queries = videos("a", (1, 1), prefix="q")
    found = retrieve(queries, gallery=gallery)
    chances = {
        one.k: one.by_chance
        for one in recalls(found, queries=queries.rows, gallery=gallery.rows, seed=0)
    }
    hits = [0 in drawn or 1 in drawn for drawn in combinations(range(10), 5)]
    assert list(chances) == [1, 5, 10]
    assert chances[5] == pytest.approx(np.mean(hits), rel=1e-5)
    assert chances[10] == 1


def test_a_network_that_reads_the_frame_rate_only_is_found_out() -> None:
    """Classes a and b come at 25 fps, c and d at 30; the embedding knows nothing but the rate."""
    rates = (25.0, 25.0, 29.97, 29.97)
    at_rate = {25.0: (1.0, 0.0), 29.97: (-1.0, 0.0)}
    gallery = videos("abcd", *(at_rate[r] for r in rates), prefix="g", rates=rates)
    queries = videos("abcd", *(at_rate[r] for r in rates), prefix="q", rates=rates)
    slow, fast = by_frame_rate(queries, gallery=gallery, seed=0)
    assert (slow.frame_rate, fast.frame_rate) == (25.0, 29.97)
    assert (slow.queries, slow.gallery) == (2, 2)
    for rate in (slow, fast):
        # Better than a quarter, which is chance over all, but no better than chance at its rate.
        assert rate.whole.value == rate.within.value == rate.within_by_chance == 0.5


def test_a_query_whose_class_has_no_video_of_its_rate_counts_at_no_rate() -> None:
    gallery = videos("ab", (1, 0), (0, 1), prefix="g", rates=(25.0, 30.0))
    queries = videos("aab", (1, 0), (1, 0), (0, 1), prefix="q", rates=(25.0, 30.0, 50.0))
    (only,) = by_frame_rate(queries, gallery=gallery, seed=0)
    assert (only.frame_rate, only.queries, only.within.value) == (25.0, 1, 1.0)
