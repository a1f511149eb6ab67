"""From parts to curves and their exponents."""

from collections.abc import Sequence

from motionfit.benchmarks.report.result import CurveFigures, Point
from motionfit.benchmarks.report.samples import Samples, by_cell
from motionfit.benchmarks.report.statistics import exponent, median, pooled
from motionfit.benchmarks.result import Result

SEED = 0
DRAWN = ("total", "decode", "flow", "infer")
"""What is drawn of the cases of a sweep."""
LEAST_MS = 0.5
"""Curves that stay below it are left out: there is nothing to see."""


def curve_figures(parts: Sequence[Result]) -> tuple[CurveFigures, ...]:
    """The curves of every sweep."""
    return tuple(curve for cell in by_cell(parts, kind="scaling") for curve in _curves_of(cell))


def _curves_of(cell: Samples) -> list[CurveFigures]:
    lines: dict[tuple[str, str, str], list[str]] = {}
    for name in cell.cases:
        sweep, size, system, part = name.split("/")
        if part in DRAWN:
            lines.setdefault((sweep, system, part), []).append(size)
    found = []
    for (sweep, system, part), unsorted in sorted(lines.items()):
        sizes = sorted(unsorted, key=float)
        samples = [cell.of(f"{sweep}/{size}/{system}/{part}") for size in sizes]
        if max(float(pooled(one).mean()) for one in samples) < LEAST_MS:
            continue
        points = tuple(
            Point(at=float(size), ms=median(own, seed=SEED), n=len(pooled(own)))
            for size, own in zip(sizes, samples, strict=True)
        )
        slope = exponent([one.at for one in points], samples, seed=SEED)
        found.append(
            CurveFigures(sweep=sweep, system=system, part=part, points=points, exponent=slope)
        )
    return found
