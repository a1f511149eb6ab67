"""Cases of systems that take turns: each sample is one video answered, with its stages."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from motionfit.benchmarks.engines import SETTLE_SECONDS
from motionfit.benchmarks.report.pipeline import Pipeline
from motionfit.benchmarks.report.stages import STAGES, Stopwatch
from motionfit.benchmarks.result import TimedCase
from motionfit.benchmarks.timing import Case, measure

TOTAL, CPU = "total", "cpu"
"""Names of cases besides the stages: wall time, and time of all threads of the process."""
MS = 1000.0


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A system that takes part, and the videos it answers for in turn."""

    pipeline: Pipeline
    videos: Sequence[Path]


@dataclass(kw_only=True)
class _Turns:
    """Which round it is, and what was measured besides the wall time."""

    number: int = 0
    found: dict[str, list[float]] = field(default_factory=dict)

    def answer(self, one: Entrant, name: str) -> None:
        """Let a system answer for the video of this round."""
        watch, before = Stopwatch(), time.process_time()
        one.pipeline.answer(one.videos[self.number % len(one.videos)], watch=watch)
        self._note(f"{name}/{CPU}", MS * (time.process_time() - before))
        for stage in STAGES:
            self._note(f"{name}/{stage}", watch.spent_ms[stage])

    def _note(self, name: str, ms: float) -> None:
        self.found.setdefault(name, []).append(ms)

    def next(self) -> None:
        """The next round."""
        self.number += 1


def time_systems(
    entrants: Mapping[str, Entrant],
    *,
    rounds: int,
    warmup_rounds: int,
    seed: int,
) -> tuple[TimedCase, ...]:
    """Cases ``NAME/total``, ``NAME/cpu`` and ``NAME/STAGE`` of each entrant, by name.

    Round i is of video i of its list, so that those with the same list can be compared round by
    round.
    """
    turns = _Turns()
    samples = measure(
        [
            Case(name=f"{name}/{TOTAL}", run=partial(turns.answer, one, name))
            for name, one in entrants.items()
        ],
        rounds=rounds,
        warmup_rounds=warmup_rounds,
        seed=seed,
        before_case=partial(time.sleep, SETTLE_SECONDS),
        after_round=turns.next,
    )
    kept = {name: values[warmup_rounds:] for name, values in turns.found.items()}
    return tuple(
        TimedCase.of(name, values, seed=seed) for name, values in (dict(samples) | kept).items()
    )
