"""Timing several cases fairly: first warmed up, then taking turns in an order drawn anew.

A machine that slows down for a second slows every case of that second's round, so cases of one
call of ``measure`` can be compared round by round (``estimates.paired_ratio``).
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

NANOSECONDS_PER_MS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something to be timed."""

    name: str
    """Parts joined by ``/``, from the general to the special: ``clip.mp4/infer/onnx``."""
    run: Callable[[], Any]
    """One call is one sample. What it returns is only looked at by ``rivals.prove_equal``."""


def measure(
    cases: Sequence[Case],
    *,
    rounds: int,
    warmup_rounds: int,
    seed: int,
    before_case: Callable[[], None] = lambda: None,
    after_round: Callable[[], None] = lambda: None,
) -> dict[str, tuple[float, ...]]:
    """Milliseconds of each case, by name; sample i of every case is of round i.

    Each round runs every case once, in an order shuffled by ``seed``. The first
    ``warmup_rounds`` are run and not kept. ``before_case`` is called, untimed, before every call
    of a case, ``after_round`` after each round, for progress.
    """
    names = [case.name for case in cases]
    if len(set(names)) != len(names):
        raise ValueError(f"cases must have different names, got {', '.join(sorted(names))}")
    order = random.Random(seed)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warmup_rounds + rounds):
        for case in order.sample(list(cases), len(cases)):
            before_case()
            elapsed_ms = _time_ms(case.run)
            if number >= warmup_rounds:
                samples[case.name].append(elapsed_ms)
        after_round()
    return {name: tuple(values) for name, values in samples.items()}


def _time_ms(run: Callable[[], Any]) -> float:
    start = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - start) / NANOSECONDS_PER_MS
