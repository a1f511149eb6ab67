"""The exploratory tables of the experiment's report, drawn from the cells of one seed."""

from collections.abc import Mapping, Sequence

from motionfit.benchmarks.experiment.protocol import MOTIONFIT, Modality, Variant
from motionfit.benchmarks.experiment.result import ExperimentResult
from motionfit.training.markdown import markdown_table

Shares = Mapping[str, float]
"""Top-1 of arms in the cell"""
GENERATORS: Mapping[Modality, str] = {"flow": "motion", "rgb": "appearance"}


def exploratory_text(result: ExperimentResult) -> list[str]:
    """Clips in a generator's loss, and granularities; nothing where nothing was tried."""
    found = result.exploratory()
    if not found:
        return []
    (cell,) = {name for one in found for name in one.per_cell}
    shares = {
        one.arm: one.per_cell[cell] for one in (*result.main(), *found) if cell in one.per_cell
    }
    variants = result.protocol.exploratory
    return [
        "## Exploratory: one drawing of labels",
        f"Top-1 in the cell {cell} alone: it suggests and does not show, and differences of a few "
        "points mean nothing.",
        *_generators([one for one in variants if one.teacher is not None], shares),
        *_granularities([one for one in variants if one.labels is not None], shares),
    ]


def _generators(variants: Sequence[Variant], shares: Shares) -> list[str]:
    """A line for each kind of generator, a column for each R."""
    if not any(one.arm in shares for one in variants):
        return []
    arms = {(one.modality, _option(one.teacher, "--loss-clips")): one.arm for one in variants}
    columns = sorted({clips for _, clips in arms})
    steps = sorted({one.batch_size for one in variants if one.batch_size})
    lines = [
        (name, *(_share(shares, arms.get((modality, clips))) for clips in columns))
        for modality, name in GENERATORS.items()
    ]
    return [
        "The generators themselves, by R, the clips of a video that share a loss. Each sees as "
        f"many clips, {', '.join(map(str, steps))} in a step.",
        markdown_table(lines, head=("generator", *(f"R = {clips}" for clips in columns))),
    ]


def _granularities(variants: Sequence[Variant], shares: Shares) -> list[str]:
    """A line for each; by clip is MotionFit itself."""
    if not any(one.arm in shares for one in variants):
        return []
    lines = [
        ("clip", _share(shares, MOTIONFIT)),
        *((_option(one.labels, "--granularity"), _share(shares, one.arm)) for one in variants),
    ]
    return [
        "Students, fine-tuned, by what gets a pseudo-label of its own.",
        markdown_table(lines, head=("granularity", "top-1")),
    ]


def _option(flags: Sequence[str] | None, name: str) -> str:
    assert flags is not None
    return flags[flags.index(name) + 1]


def _share(shares: Shares, arm: str | None) -> str:
    return f"{shares[arm]:.1%}" if arm is not None and arm in shares else "-"
