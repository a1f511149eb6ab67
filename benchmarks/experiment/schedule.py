"""Random initialisation's own best schedule: which networks decide it, and what they decide.

The rule stands in the protocol: of its schedules the one with the highest mean top-1 on the
validation groups over the splits of seeds 0 and 1, the shortest of equals.
"""

from fractions import Fraction
from itertools import product

import numpy as np

from motionfit.benchmarks.experiment.protocol import Cell, Entry, Protocol, random_arm
from motionfit.benchmarks.experiment.result import ExperimentResult
from motionfit.training.markdown import markdown_table

SEEDS = (0, 1)


def schedule_entries(protocol: Protocol) -> tuple[Entry, ...]:
    """What is to be measured on validation, a cell at a time."""
    return tuple(
        Entry(cell=cell, arm=random_arm(clips))
        for cell, clips in product(_cells(protocol), protocol.schedules)
    )


def chosen_schedule(result: ExperimentResult) -> int | None:
    """The number of clips that the rule chooses; None unless all that decides it was measured."""
    means = _means(result)
    if result.measured_on != "validation" or len(means) < len(result.protocol.schedules):
        return None
    return min(means, key=lambda clips: (-means[clips], clips), default=None)


def schedule_text(result: ExperimentResult) -> list[str]:
    """The part of a report that says what was chosen; nothing where nothing can be."""
    means, chosen = _means(result), chosen_schedule(result)
    if chosen is None:
        return []
    lines = [(f"{clips:,}", f"{float(mean):.2%}") for clips, mean in means.items()]
    return [
        "## Random initialisation's own schedule",
        f"Chosen by the protocol's rule: {chosen:,} clips.",
        markdown_table(lines, head=("clips seen", "mean top-1 on validation")),
    ]


def _means(result: ExperimentResult) -> dict[int, Fraction]:
    """The mean top-1 of each schedule of which every cell was measured, exactly."""
    shares = _shares(result)
    cells = [cell.name for cell in _cells(result.protocol)]
    names = {
        clips: [f"{cell}/{random_arm(clips)}" for cell in cells]
        for clips in result.protocol.schedules
    }
    return {
        clips: sum((shares[name] for name in own), Fraction(0)) / len(own)
        for clips, own in names.items()
        if all(name in shares for name in own)
    }


def _cells(protocol: Protocol) -> list[Cell]:
    return [
        Cell(split=split, seed=seed, labels=protocol.labelled_groups)
        for seed, split in product(SEEDS, protocol.splits)
    ]


def _shares(result: ExperimentResult) -> dict[str, Fraction]:
    true = {one.split: one.true for one in result.video_sets}
    return {
        cell.name: Fraction(
            int(np.equal(cell.answers, true[cell.split]).sum()), len(true[cell.split])
        )
        for cell in result.cells
    }
