"""A result of kind ``engines`` or ``gpu``, as a table on a terminal and as lines to draw."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from rich.table import Table

from motionfit.benchmarks.engines_names import case_name, engine_of
from motionfit.benchmarks.result import Result, ResultError
from motionfit.benchmarks.tables import estimate_cells, noise_notes
from motionfit.training.json_record import Estimate

KINDS = ("engines", "gpu")


@dataclass(frozen=True, kw_only=True)
class Line:
    """An engine at a batch size. Estimates are None when there were too few rounds."""

    engine: str
    batch: int
    clip_ms: Estimate | None
    speed_up: Estimate | None
    """How many times as long the first engine takes; None for itself too."""
    share: Estimate | None
    """Of the peak of its precision, 0 to 1."""


def engine_lines(result: Result) -> tuple[Line, ...]:
    """What was timed, by batch size. Raises ResultError when the result is of another kind."""
    if result.kind not in KINDS:
        raise ResultError(f"a result of kind {result.kind} says nothing of engines")
    ratios = {(one.numerator, one.denominator): one.ratio for one in result.ratios}
    shares = {below: ratio for (above, below), ratio in ratios.items() if not engine_of(above)}
    lines: list[Line] = []
    for case in result.cases:
        if not (named := engine_of(case.name)):
            continue
        batch, engine = named
        first = next((line.engine for line in lines if line.batch == batch), engine)
        lines.append(
            Line(
                engine=engine,
                batch=batch,
                clip_ms=case.summary.median,
                speed_up=ratios.get((case_name(first, batch=batch), case.name)),
                share=shares[case.name],
            )
        )
    return tuple(lines)


def engines_table(result: Result) -> Table:
    """Milliseconds of a clip by each engine, beside the first, and its share of the peak."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("engine", no_wrap=True)
    for name in ("ms/clip", "95 %", "speed-up", "95 %", "of peak"):
        table.add_column(name, justify="right", no_wrap=True)
    for batch, lines in groupby(engine_lines(result), key=lambda line: line.batch):
        table.add_row(f"batch {batch}")
        for line in lines:
            table.add_row(
                f"  {line.engine}",
                *estimate_cells(line.clip_ms, ".4g"),
                *estimate_cells(line.speed_up, ".2f"),
                estimate_cells(line.share, ".0%")[0],
            )
    return table


def engines_notes(result: Result) -> list[str]:
    """The peaks, the fastest engine beside its rivals, what was not timed and why, and noise."""
    peaks = [
        f"{rate.name}: {rate.per_second.value / 1e9:.4g} GFLOP/s, the product of two matrices"
        for rate in result.rates
        if not engine_of(rate.name) and rate.per_second
    ]
    refusals = {case.summary.refused.get("median") for case in result.cases} - {None}
    return [
        *peaks,
        *_fastest(result),
        *(f"medians: {reason}" for reason in sorted(filter(None, refusals))),
        *(f"not timed: {one.name}: {one.reason}" for one in result.excluded),
        *noise_notes(result),
    ]


def fastest(lines: tuple[Line, ...], *, batch: int) -> Line | None:
    """The engine with the smallest median; None when there are no medians."""
    timed = [(line.clip_ms.value, line) for line in lines if line.batch == batch and line.clip_ms]
    return min(timed, key=lambda one: one[0])[1] if timed else None


def peak_ms(result: Result) -> dict[str, float]:
    """Precision -> milliseconds that a clip would take at the peak of that precision."""
    return {
        case.name.partition("/")[2]: case.summary.median.value
        for case in result.cases
        if not engine_of(case.name) and case.summary.median
    }


def _fastest(result: Result) -> Iterator[str]:
    lines = engine_lines(result)
    for batch in dict.fromkeys(line.batch for line in lines):
        line = fastest(lines, batch=batch)
        if line is None:
            continue
        case = case_name(line.engine, batch=batch)
        others = [
            f"{rival[1]} takes {one.ratio.value:.2f} x ({one.ratio.low:.2f} - "
            f"{one.ratio.high:.2f}) its time"
            for one in result.ratios
            if one.denominator == case and one.ratio and (rival := engine_of(one.numerator))
        ]
        yield f"batch {batch}: {line.engine} is the fastest; {', '.join(others)}"
