"""From parts to curves and their exponents."""

from collections.abc import Callable, Sequence

from motionfit.benchmarks.report.plan import SIZES
from motionfit.benchmarks.report.result import CurveFigures, Point
from motionfit.benchmarks.report.samples import Samples, by_cell
from motionfit.benchmarks.report.statistics import exponent, median, pooled
from motionfit.benchmarks.report.systems import HALF, SMALL, WIDE
from motionfit.benchmarks.result import Result

SEED = 0
DRAWN = ("total", "decode", "flow", "infer")
"""What is drawn of the cases of a sweep."""
LEAST_MS = 0.5
"""Curves that stay below it are left out: there is nothing to see."""


def curve_figures(parts: Sequence[Result]) -> tuple[CurveFigures, ...]:
    """The curves of every sweep; that of widths comes from the cell of sizes."""
    return (
        *(curve for cell in by_cell(parts, kind="scaling") for curve in _curves_of(cell, _swept)),
        *(
            curve
            for cell in by_cell(parts, kind="systems")
            if cell.cell == SIZES
            for curve in _curves_of(cell, _width)
        ),
    )


Place = tuple[tuple[str, str, str], float]
"""The curve that a case is of (sweep, system, part), and where on it."""


def _swept(case: str) -> Place:
    sweep, size, system, part = case.split("/")
    return (sweep, system, part), float(size)


def _width(case: str) -> Place | None:
    name, part = case.split("/")
    system, _, shape = name.partition(":")
    found = {"": SMALL, HALF.name: HALF, WIDE.name: WIDE}.get(shape)
    return (("width", system, part), found.width) if found else None


def _curves_of(cell: Samples, place: Callable[[str], Place | None]) -> list[CurveFigures]:
    lines: dict[tuple[str, str, str], dict[float, str]] = {}
    for name in cell.cases:
        at = place(name)
        if at and at[0][2] in DRAWN:
            lines.setdefault(at[0], {})[at[1]] = name
    found = []
    for (sweep, system, part), unsorted in sorted(lines.items()):
        sizes = sorted(unsorted)
        samples = [cell.of(unsorted[size]) for size in sizes]
        if max(float(pooled(one).mean()) for one in samples) < LEAST_MS:
            continue
        points = tuple(
            Point(at=size, ms=median(own, seed=SEED), n=len(pooled(own)))
            for size, own in zip(sizes, samples, strict=True)
        )
        slope = None
        if sweep != "length":  # the clips are of fixed length: no power of it
            slope = exponent([one.at for one in points], samples, seed=SEED)
        found.append(
            CurveFigures(sweep=sweep, system=system, part=part, points=points, exponent=slope)
        )
    return found
