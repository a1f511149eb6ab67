"""From the answers to every test video to accuracies, and differences to the student's."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from motionfit.benchmarks.experiment.statistics import Table, two_way
from motionfit.benchmarks.report.result import AccuracyFigures
from motionfit.benchmarks.report.systems import LIKE_FOR_LIKE, REFERENCE
from motionfit.benchmarks.result import Result
from motionfit.training.json_record import Estimate
from motionfit.training.scores import Outcome, cluster_numbers

SEED = 0

Key = tuple[str, int]
"""A system, and clips of a video."""
Cells = Mapping[str, tuple[Outcome, ...]]
"""What became of each test video, by cell."""


def accuracy_figures(parts: Sequence[Result]) -> tuple[AccuracyFigures, ...]:
    """The accuracy of each system and number of clips that was measured."""
    found = _found(parts)
    return tuple(_figures(key, found) for key in found)


def clip_figures(parts: Sequence[Result]) -> tuple[AccuracyFigures, ...]:
    """The accuracy of both systems of the first row against the number of clips, in the cells that
    all numbers have, so that they can be compared. Empty for fewer than two numbers.
    """
    first_row = (REFERENCE.name, LIKE_FOR_LIKE.name)
    own = {key: cells for key, cells in _found(parts).items() if key[0] in first_row}
    if len({clips for _, clips in own}) < 2:
        return ()
    shared = set[str].intersection(*map(set, own.values()))
    same = {key: {name: cells[name] for name in sorted(shared)} for key, cells in own.items()}
    return tuple(_figures(key, same) for key in sorted(same)) if shared else ()


def _found(parts: Sequence[Result]) -> dict[Key, dict[str, tuple[Outcome, ...]]]:
    found: dict[Key, dict[str, tuple[Outcome, ...]]] = {}
    for part in parts:
        if part.kind == "report-accuracy" and part.accuracy:
            system, clips = str(part.settings["system"]), part.settings["clips"]
            assert isinstance(clips, int)
            cells = found.setdefault((system, clips), {})
            cells[str(part.settings["networks"])] = part.accuracy.outcomes
    return found


def _figures(key: Key, found: Mapping[Key, Cells]) -> AccuracyFigures:
    (system, clips), cells = key, found[key]
    student = found.get((REFERENCE.name, clips), {}) if system != REFERENCE.name else {}
    shared = sorted(set(cells) & set(student))
    return AccuracyFigures(
        system=system,
        clips=clips,
        cells=tuple(sorted(cells)),
        right={name: "".join("01"[one.rank == 0] for one in cells[name]) for name in sorted(cells)},
        top1=_mean({name: _right(one) for name, one in cells.items()}, cells),
        difference=_mean(
            {name: _right(cells[name]) - _right(student[name]) for name in shared}, cells
        )
        if shared
        else None,
    )


def _mean(values: Mapping[str, NDArray[np.float64]], cells: Cells) -> Estimate:
    """Mean over splits of the mean over seeds and videos."""
    splits: dict[str, list[str]] = {}
    for name in sorted(values):
        splits.setdefault(_split(name), []).append(name)
    tables = [
        Table(
            values=np.stack([values[name] for name in names]),
            clusters=cluster_numbers(cells[names[0]]),
        )
        for names in splits.values()
    ]
    return two_way(tables, seed=SEED)


def video_names(parts: Sequence[Result]) -> dict[str, tuple[str, ...]]:
    """Split -> its test videos, in the order of the answers."""
    return {
        _split(str(part.settings["networks"])): tuple(o.video for o in part.accuracy.outcomes)
        for part in parts
        if part.kind == "report-accuracy" and part.accuracy
    }


def _split(cell: str) -> str:
    return cell.partition("-")[0]


def _right(outcomes: Sequence[Outcome]) -> NDArray[np.float64]:
    return np.array([one.rank == 0 for one in outcomes], np.float64)
