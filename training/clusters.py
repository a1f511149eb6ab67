"""k-means of directions: features scaled to length 1, centroids too (spherical k-means).

The clusters are pseudo-classes as in DeepCluster (Caron et al., ECCV 2018), of a teacher that stays
as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from motionfit.inference.errors import DatasetError

ITERATIONS = 50
ATTEMPTS = 5  # of which the best is kept


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """M features in k clusters."""

    assigned: NDArray[np.int64]
    """(M,) int64, 0 up to k - 1"""
    cosine: NDArray[np.float32]
    """(M,) float32, -1 to 1: of each feature with its centroid"""


def clustered(features: NDArray[np.floating], *, clusters: int, seed: int) -> Clusters:
    """The ``clusters`` clusters of the directions of ``features`` (M, D), decided by ``seed``.

    Raises DatasetError when there are fewer features than clusters.
    """
    if len(features) < clusters:
        raise DatasetError(
            f"{len(features)} pieces of video cannot be divided into {clusters} clusters: give "
            "fewer --clusters, or more videos"
        )
    unit = unit_length(features)
    kmeans = faiss.Kmeans(
        unit.shape[1],
        clusters,
        spherical=True,
        niter=ITERATIONS,
        nredo=ATTEMPTS,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(unit),  # no subsampling
    )
    with _one_thread():
        kmeans.train(unit)
        cosine, assigned = kmeans.assign(unit)
    return Clusters(assigned=assigned, cosine=np.clip(cosine, -1, 1))


def unit_length(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """``features`` (M, D) scaled to length 1, float32; zeros stay zeros."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.ascontiguousarray(features / np.maximum(lengths, 1e-12), np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    # The order in which threads add up decides the last bits, and those may decide a cluster.
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
