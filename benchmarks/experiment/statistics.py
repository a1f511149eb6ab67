"""Figures of the experiment over seeds and splits, and how far they can be trusted.

A figure is the mean over tables of the mean over seeds and videos. Its interval resamples two ways
at once: within each table the seeds and, independently, the clusters of videos are drawn with
replacement, because both another drawing of labels and other test videos would give another figure.

A table is a split, its clusters the class-groups (videos of one class and group are look-alikes);
or it is all folds of persons, its clusters the persons. Splits that are measured on the same
videos, as on those of validation, share each draw of clusters: they do not make the videos more.
(Splits that shared only some of their videos would still count these twice; ours never do.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionfit.training.json_record import Estimate
from motionfit.training.resampling import RESAMPLES, estimate

Floats = NDArray[np.float64]
_Videos = tuple[tuple[str, ...] | None, tuple[int, ...]]
"""The names of a table's videos and the clusters that they belong to"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A value of each video in the cell of each seed."""

    values: Floats
    """(S, V) float64; nan is left out"""
    clusters: NDArray[np.int64]
    """(V,) int64, which cluster each video belongs to, numbered from 0"""
    videos: tuple[str, ...] | None = None
    """Their names (V,): of tables with the same ones the same clusters are drawn. None: of none"""


def two_way(tables: Sequence[Table], *, seed: int) -> Estimate:
    """Mean over the ``tables``, at least one, with its interval over seeds x class-groups.

    With one seed in a table, the interval says nothing about other seeds.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[_Videos, Floats] = {}
    means = np.mean([_means(table, rng=rng, drawn=drawn) for table in tables], axis=0)
    return estimate(float(means[0]), resampled=means[1:])


def _means(table: Table, *, rng: np.random.Generator, drawn: dict[_Videos, Floats]) -> Floats:
    """The mean of a table (1 + R,): as it is, and of each resampling.

    ``drawn`` are the draws of clusters of the tables before it.
    """
    kinds, members = np.unique(table.clusters, return_inverse=True)
    known = ~np.isnan(table.values)
    totals = _by_cluster(np.where(known, table.values, 0), members)  # (S, K)
    sizes = _by_cluster(known.astype(np.float64), members)  # (S, K)
    seeds = _draws(len(table.values), rng=rng)  # (1 + R, S)
    key = (table.videos, tuple(members.tolist()))
    if table.videos is None or key not in drawn:
        drawn[key] = _draws(len(kinds), rng=rng)
    clusters = drawn[key]  # (1 + R, K)
    above, below = (np.einsum("rs,sk,rk->r", seeds, each, clusters) for each in (totals, sizes))
    # Of a draw in which nothing is known there is no mean.
    return np.asarray(np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0))


def _by_cluster(lines: Floats, members: NDArray[np.int64]) -> Floats:
    """Sums of (S, V) values over the videos of each cluster, (S, K)."""
    return np.stack([np.bincount(members, weights=line) for line in lines])


def _draws(count: int, *, rng: np.random.Generator) -> Floats:
    """How often each of ``count`` things is drawn, (1 + R, count): once each, then at random."""
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return np.concatenate([np.ones((1, count)), drawn])
