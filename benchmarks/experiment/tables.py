"""Values of the experiment's cells -> tables that can be resampled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionfit.benchmarks.experiment.protocol import Resampled
from motionfit.benchmarks.experiment.result import ArmCell, VideoSet
from motionfit.benchmarks.experiment.statistics import Table

Floats = NDArray[np.float64]
Sets = Mapping[str, VideoSet]
"""By split."""
Lines = Sequence[tuple[ArmCell, Floats]]
"""Cells, each with a value of every video (V,), nan for those that do not count"""


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """What intervals are made of."""

    sets: Sets
    seed: int
    """Of the draws"""
    resampled: Resampled = "class-groups"


def tables(lines: Lines, *, by: Resampling) -> tuple[Table, ...]:
    """A table of each split; or, where persons are drawn, one of all folds. None that is empty."""
    if not lines:
        return ()
    made = [_folds(lines, by.sets)] if by.resampled == "subjects" else _splits(lines, by.sets)
    return tuple(table for table in map(_counted, made) if table.values.size)


def _splits(lines: Lines, sets: Sets) -> list[Table]:
    of_split: dict[str, list[Floats]] = {}
    for cell, line in lines:
        of_split.setdefault(cell.split, []).append(line)
    return [
        Table(values=np.stack(own), clusters=_class_groups(sets[split]), videos=sets[split].videos)
        for split, own in of_split.items()
    ]


def _folds(lines: Lines, sets: Sets) -> Table:
    """A line of each seed over the videos of all folds; of a cell that is missing, nan."""
    found = {(cell.seed, cell.split): line for cell, line in lines}
    seeds = sorted({seed for seed, _ in found})
    folds = sorted({fold for _, fold in found})
    nothing = {fold: np.full(len(sets[fold].videos), np.nan) for fold in folds}
    persons = [person for fold in folds for person in sets[fold].groups]
    values = [
        np.concatenate([found.get((seed, fold), nothing[fold]) for fold in folds]) for seed in seeds
    ]
    return Table(values=np.stack(values), clusters=np.unique(persons, return_inverse=True)[1])


def _counted(table: Table) -> Table:
    """Without the videos that count in no cell."""
    counted = np.flatnonzero(~np.isnan(table.values).all(axis=0))
    return Table(
        values=table.values[:, counted],
        clusters=table.clusters[counted],
        videos=table.videos and tuple(table.videos[place] for place in counted),
    )


def _class_groups(videos: VideoSet) -> NDArray[np.int64]:
    keys = list(zip(videos.true, videos.groups, strict=True))
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    return np.array([numbers[key] for key in keys])
