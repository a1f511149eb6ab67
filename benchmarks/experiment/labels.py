"""How right the pseudo-labels of an experiment are, from the reports of the jobs that made them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from motionfit.benchmarks.experiment.graph import Job
from motionfit.benchmarks.experiment.result import LabelAccuracy
from motionfit.training.label_quality import Quality
from motionfit.training.label_quality_text import JSON
from motionfit.training.resampling import rounded


def label_accuracies(jobs: Iterable[Job], *, runs: Path) -> tuple[LabelAccuracy, ...]:
    """Means over the cells, of each number of labelled groups and kind of labels."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for job in jobs:
        report = runs / job.name / JSON
        if report.is_file():
            cell, _, stage = job.name.rpartition("/")
            name = f"{cell.rpartition('-')[2]}/{stage}"
            quality = Quality.model_validate_json(report.read_bytes())
            if (shares := _shares(quality)) is not None:
                found.setdefault(name, []).append(shares)
    return tuple(_mean(name, cells) for name, cells in found.items())


def _mean(name: str, cells: Sequence[tuple[float, ...]]) -> LabelAccuracy:
    unseen_pieces, unseen_videos, seen_pieces = map(rounded, np.mean(cells, axis=0).tolist())
    return LabelAccuracy(
        name=name,
        cells=len(cells),
        unseen_pieces=unseen_pieces,
        unseen_videos=unseen_videos,
        seen_pieces=seen_pieces,
    )


def _shares(quality: Quality) -> tuple[float, ...] | None:
    """None where there is no true class to compare with."""
    if quality.unseen is None or quality.seen is None:
        return None
    shares = (quality.unseen.pieces, quality.unseen.videos, quality.seen.pieces)
    right = tuple(one.accuracy for one in shares if one.accuracy is not None)
    return right if len(right) == len(shares) else None
