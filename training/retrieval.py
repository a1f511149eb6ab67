"""Video retrieval by nearest neighbours: whether a network puts videos of one class together.

R@k is the share of queries with a video of their class among the k nearest of the gallery. The
protocol is that of Han, Xie and Zisserman, "Self-supervised Co-training for Video Representation
Learning" (CoCLR, NeurIPS 2020): training videos are the gallery, test videos the queries. Both are
centred by the gallery's mean and compared by cosine. The paper does not settle which of equally
near videos comes first; here it is the one that comes first in the gallery.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motionfit.training.embeddings import Embedded, Embeddings
from motionfit.training.json_record import Estimate, Record
from motionfit.training.manifest import Row
from motionfit.training.resampling import rounded
from motionfit.training.row_clusters import clusters_of
from motionfit.training.scores import weighted_mean

KS = (1, 5, 10, 20, 50)
SHOWN = 5  # so many neighbours of a query are named
BLOCK = 256  # queries compared with the whole gallery at a time


class Recall(Record):
    """Share of queries that find their class among their ``k`` nearest neighbours."""

    k: int
    recall: Estimate
    by_chance: float
    """What a gallery in random order gives."""


class Query(Record):
    """What one video found."""

    video: str
    label: str
    nearest: tuple[str, ...]
    """Names of the nearest videos of the gallery, up to 5, nearest first."""
    nearest_labels: tuple[str, ...]
    """Their classes."""
    rank: int
    """Place of the nearest video of the query's class, 0 the nearest: it is in R@k if below k."""


def retrieve(queries: Embedded, *, gallery: Embedded) -> tuple[Query, ...]:
    """What each query finds in a gallery that holds a video of its class."""
    names = [row.name for row in gallery.rows]
    labels = np.array([row.label for row in gallery.rows])
    order = neighbours(queries.embeddings, gallery=gallery.embeddings)
    return tuple(
        Query(
            video=row.name,
            label=row.label,
            nearest=tuple(names[i] for i in places[:SHOWN]),
            nearest_labels=tuple(str(label) for label in labels[places[:SHOWN]]),
            rank=int(np.flatnonzero(labels[places] == row.label)[0]),
        )
        for row, places in zip(queries.rows, order, strict=True)
    )


def neighbours(queries: Embeddings, *, gallery: Embeddings) -> NDArray[np.int32]:
    """The places in the gallery, (Q, G) int32, nearest first, of ``queries`` (Q, D)."""
    centre = gallery.mean(axis=0, dtype=np.float64)
    points, asked = _directions(gallery - centre), _directions(queries - centre)
    parts = [
        np.argsort(-(asked[i : i + BLOCK] @ points.T), axis=1, kind="stable").astype(np.int32)
        for i in range(0, len(asked), BLOCK)
    ]
    return np.concatenate(parts)


def recalls(
    found: Sequence[Query], *, queries: Sequence[Row], gallery: Sequence[Row], seed: int
) -> tuple[Recall, ...]:
    """R@1, 5, 10, 20 and 50, as far as the gallery is that large.

    The interval is over the queries' groups.
    """
    ranks = np.array([query.rank for query in found])
    clusters = clusters_of(queries)
    return tuple(
        Recall(
            k=k,
            recall=weighted_mean((ranks < k).astype(np.float64), clusters=clusters, seed=seed),
            by_chance=rounded(_by_chance(queries, gallery=gallery, k=k)),
        )
        for k in KS
        if k <= len(gallery)
    )


def _directions(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (V, D) at length 1; one at the very centre stays there, equally far from all."""
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(lengths > 0, lengths, 1.0))


def _by_chance(queries: Sequence[Row], *, gallery: Sequence[Row], k: int) -> float:
    """Mean over the queries of the chance that k videos drawn from the gallery hit their class."""
    labels, counts = np.unique([row.label for row in gallery], return_counts=True)
    missed = {
        str(label): _chance_to_miss(int(count), size=len(gallery), draws=k)
        for label, count in zip(labels, counts, strict=True)
    }
    return float(np.mean([1 - missed[row.label] for row in queries]))


def _chance_to_miss(right: int, *, size: int, draws: int) -> float:
    """Chance that ``draws`` of ``size`` videos, drawn without putting back, avoid ``right``."""
    left = size - np.arange(draws)
    return float(np.prod(np.maximum(left - right, 0) / left))
