"""Answers of the experiment's networks -> figures of each arm, and differences between arms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from motionfit.benchmarks.experiment.protocol import (
    APPEARANCE_NETWORK,
    FLOW_NETWORK,
    MOTIONFIT,
    RANDOM,
    Protocol,
)
from motionfit.benchmarks.experiment.result import (
    ArmCell,
    Comparison,
    Measure,
    Summary,
    VideoSet,
)
from motionfit.benchmarks.experiment.statistics import two_way
from motionfit.benchmarks.experiment.tables import Floats, Lines, Resampling, tables
from motionfit.training.json_record import Estimate

RESAMPLING_SEED = 0
TOP1, WITHIN_RATE, RETIMED, RETIMED_CHANGE = "top1", "within-rate", "retimed", "retimed-change"

Values = Callable[[ArmCell, VideoSet], Floats | None]
"""A value of each video (V,), nan for those that do not count; None where it was not measured."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is computed of an experiment's cells."""

    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]
    primary: Comparison | None
    gate: Comparison | None


def figures_of(
    cells: Sequence[ArmCell], *, sets: Mapping[str, VideoSet], protocol: Protocol
) -> Figures:
    """All figures of ``cells``, whose videos are ``sets``, by split."""
    by = Resampling(sets=sets, seed=RESAMPLING_SEED, resampled=protocol.resampled)
    compared = comparisons(cells, by=by)
    primary = f"labels{protocol.labelled_groups}/{MOTIONFIT}-{RANDOM}"
    return Figures(
        summaries=summaries(cells, by=by),
        comparisons=compared,
        primary=next((one for one in compared if one.name == primary), None),
        gate=gate(cells, by=by, protocol=protocol),
    )


def summaries(cells: Sequence[ArmCell], *, by: Resampling) -> tuple[Summary, ...]:
    """Each arm with each number of labelled groups, in the order in which they come."""
    parts = _by_kind(cells)
    return tuple(
        Summary(
            name=f"labels{labels}/{arm}",
            arm=arm,
            labelled_groups=labels,
            cells=len(own),
            per_cell={cell.name.partition("/")[0]: cell.top1 for cell in own},
            measures=_measures(
                own,
                () if arm == RANDOM else parts.get((labels, RANDOM), ()),
                by=by,
            ),
        )
        for (labels, arm), own in parts.items()
    )


def comparisons(cells: Sequence[ArmCell], *, by: Resampling) -> tuple[Comparison, ...]:
    """MotionFit less each other arm, where they have cells in common."""
    parts = _by_kind(cells)
    found = (
        _comparison(parts.get((labels, MOTIONFIT), ()), others, by=by)
        for (labels, arm), others in parts.items()
        if arm != MOTIONFIT
    )
    return tuple(one for one in found if one is not None)


def gate(cells: Sequence[ArmCell], *, by: Resampling, protocol: Protocol) -> Comparison | None:
    """The first gate: the flow network less the RGB one, which it has to beat on validation."""
    parts = _by_kind(cells)
    flow, rgb = (
        parts.get((protocol.labelled_groups, arm), ()) for arm in (FLOW_NETWORK, APPEARANCE_NETWORK)
    )
    return _comparison(flow, rgb, by=by)


def _comparison(
    cells: Sequence[ArmCell], others: Sequence[ArmCell], *, by: Resampling
) -> Comparison | None:
    """One arm less another; None where they have no cell in common."""
    own, pairs = _common(cells, others)
    if not own:
        return None
    top1, within = (
        _difference(own, pairs, values=values, by=by) for values in (_top1, _within_rate)
    )
    assert top1 is not None
    assert within is not None
    labels = len(own[0].labelled)
    return Comparison(
        name=f"labels{labels}/{own[0].arm}-{pairs[0].arm}",
        to=pairs[0].arm,
        labelled_groups=labels,
        cells=len(own),
        top1=top1,
        within_rate=within,
    )


def _measures(
    own: Sequence[ArmCell], reference: Sequence[ArmCell], *, by: Resampling
) -> tuple[Measure, ...]:
    rates = sorted({rate for one in by.sets.values() for rate in one.frame_rates})
    kinds: dict[str, Values] = {
        TOP1: _top1,
        WITHIN_RATE: _within_rate,
        **{f"within-{rate:g}": _within_one(rate) for rate in rates},
        RETIMED: _retimed,
        RETIMED_CHANGE: _retimed_change,
    }
    found = []
    for name, values in kinds.items():
        value = _mean(own, values=values, by=by)
        if value is None:
            continue
        difference = _difference(*_common(own, reference), values=values, by=by)
        found.append(Measure(name=name, value=value, difference=difference))
    return tuple(found)


def _top1(cell: ArmCell, videos: VideoSet) -> Floats:
    return _right(cell.answers, videos)


def _within_rate(cell: ArmCell, videos: VideoSet) -> Floats:
    return _right(cell.answers_within_rate, videos)


def _within_one(rate: float) -> Values:
    def values(cell: ArmCell, videos: VideoSet) -> Floats:
        right = _within_rate(cell, videos)
        return np.where(np.array(videos.frame_rates) == rate, right, np.nan)

    return values


def _retimed(cell: ArmCell, videos: VideoSet) -> Floats | None:
    return None if cell.answers_retimed is None else _right(cell.answers_retimed, videos)


def _retimed_change(cell: ArmCell, videos: VideoSet) -> Floats | None:
    retimed = _retimed(cell, videos)
    return None if retimed is None else retimed - _top1(cell, videos)


def _right(answers: Sequence[int], videos: VideoSet) -> Floats:
    return np.equal(answers, videos.true).astype(np.float64)


def _mean(cells: Sequence[ArmCell], *, values: Values, by: Resampling) -> Estimate | None:
    lines: list[tuple[ArmCell, Floats]] = []
    for cell in cells:
        line = values(cell, by.sets[cell.split])
        if line is None:
            return None
        lines.append((cell, line))
    return _estimate(lines, by=by)


def _difference(
    cells: Sequence[ArmCell],
    others: Sequence[ArmCell],
    *,
    values: Values,
    by: Resampling,
) -> Estimate | None:
    """Mean of ``cells`` less ``others``, pairs of the same drawing; None where one is unknown."""
    lines: list[tuple[ArmCell, Floats]] = []
    for cell, other in zip(cells, others, strict=True):
        line, other_line = (values(one, by.sets[cell.split]) for one in (cell, other))
        if line is None or other_line is None:
            return None
        lines.append((cell, line - other_line))
    return _estimate(lines, by=by)


def _estimate(lines: Lines, *, by: Resampling) -> Estimate | None:
    made = tables(lines, by=by)
    return two_way(made, seed=by.seed) if made else None


def _common(
    cells: Sequence[ArmCell], others: Sequence[ArmCell]
) -> tuple[tuple[ArmCell, ...], tuple[ArmCell, ...]]:
    """The cells of the same drawings, in one order."""
    of_drawing = {_drawing(other): other for other in others}
    both = [cell for cell in cells if _drawing(cell) in of_drawing]
    return tuple(both), tuple(of_drawing[_drawing(cell)] for cell in both)


def _drawing(cell: ArmCell) -> str:
    return cell.name.partition("/")[0]


def _by_kind(cells: Sequence[ArmCell]) -> dict[tuple[int, str], list[ArmCell]]:
    parts: dict[tuple[int, str], list[ArmCell]] = {}
    for cell in cells:
        parts.setdefault((len(cell.labelled), cell.arm), []).append(cell)
    return parts
