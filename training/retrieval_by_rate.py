"""Retrieval within each frame rate: where classes have rates of their own, a network that reads the
cadence of duplicate frames finds its class by that alone.
"""

import numpy as np
from numpy.typing import NDArray

from motionfit.training.embeddings import Embedded
from motionfit.training.json_record import Estimate, Record
from motionfit.training.retrieval import Recall, recalls, retrieve


class RateRecall(Record):
    """R@1 of the queries of one native frame rate."""

    frame_rate: float
    """Frames per second, rounded to 0.01."""
    queries: int
    """Those of this rate whose class has a video of this rate in the gallery."""
    gallery: int
    """Videos of this rate."""
    whole: Estimate
    """R@1 of these queries in the whole gallery."""
    within: Estimate
    """R@1 among the videos of this rate only: knowing the rate is then no help."""
    within_by_chance: float


def by_frame_rate(queries: Embedded, *, gallery: Embedded, seed: int) -> tuple[RateRecall, ...]:
    """Each frame rate that has queries which can find something at their own rate."""
    asked, known = _rates(queries), _rates(gallery)
    found = []
    for rate in sorted(set(asked) - {0.0}):
        near = gallery.chosen(known == rate)
        labels = {row.label for row in near.rows}
        possible = np.array([row.label in labels for row in queries.rows])
        own = queries.chosen((asked == rate) & possible)
        if own.rows:
            whole = _recall_at_1(own, gallery=gallery, seed=seed)
            within = _recall_at_1(own, gallery=near, seed=seed)
            found.append(
                RateRecall(
                    frame_rate=float(rate),
                    queries=len(own.rows),
                    gallery=len(near.rows),
                    whole=whole.recall,
                    within=within.recall,
                    within_by_chance=within.by_chance,
                )
            )
    return tuple(found)


def _rates(videos: Embedded) -> NDArray[np.float64]:
    return np.array([round(rate or 0.0, 2) for rate in videos.frame_rates])


def _recall_at_1(queries: Embedded, *, gallery: Embedded, seed: int) -> Recall:
    found = retrieve(queries, gallery=gallery)
    return recalls(found, queries=queries.rows, gallery=gallery.rows, seed=seed)[0]
