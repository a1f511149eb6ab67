"""The samples of a cell's processes, by case."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from motionfit.benchmarks.report.statistics import Floats, Processes
from motionfit.benchmarks.result import Excluded, Result


@dataclass(frozen=True, kw_only=True)
class Samples:
    """All parts of one cell."""

    cell: str
    parts: tuple[Result, ...]

    def of(self, case: str) -> Processes:
        """The samples of a case in each process that has it."""
        return [found for part in self.parts if len(found := _samples(part, case))]

    def pair(self, first: str, second: str) -> tuple[Processes, Processes]:
        """The samples of two cases in the processes that have both."""
        both = [(_samples(part, first), _samples(part, second)) for part in self.parts]
        there = [(a, b) for a, b in both if len(a) and len(b)]
        return [a for a, _ in there], [b for _, b in there]

    @property
    def cases(self) -> tuple[str, ...]:
        """The names of all cases, in order."""
        return tuple(dict.fromkeys(case.name for part in self.parts for case in part.cases))

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """What was not timed, once each."""
        return tuple(dict.fromkeys(one for part in self.parts for one in part.excluded))


def by_cell(parts: Iterable[Result], *, kind: str) -> tuple[Samples, ...]:
    """The cells of a kind, in the order in which they come first."""
    found: dict[str, list[Result]] = {}
    for part in parts:
        if part.kind == f"report-{kind}":
            found.setdefault(str(part.settings["cell"]), []).append(part)
    return tuple(Samples(cell=name, parts=tuple(own)) for name, own in found.items())


def setting(parts: Sequence[Result], name: str) -> float | None:
    """A setting of the first part that has it, as a number."""
    values = (part.settings.get(name) for part in parts)
    return next((value for value in values if isinstance(value, int | float)), None)


def figures(parts: Sequence[Result], name: str) -> list[float]:
    """A figure of each part that has it."""
    return [one.value for part in parts for one in part.figures if one.name == name]


def _samples(part: Result, case: str) -> Floats:
    for one in part.cases:
        if one.name == case:
            return np.asarray(one.samples_ms, np.float64)
    return np.empty(0)
