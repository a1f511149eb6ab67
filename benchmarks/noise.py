"""Is the machine quiet enough to be believed? A fixed calculation, timed before and after."""

import hashlib
import time

import numpy as np

from motionfit.training.json_record import Record

REPEATS = 60
BLOCK = bytes(1 << 20)
LIMIT = 0.05


class Noise(Record):
    """How steadily the machine ran a fixed calculation (SHA-256 of 1 MiB, one core)."""

    variation_before: float
    """Coefficient of variation (standard deviation over mean) before the measurement."""
    variation_after: float
    """The same, after the measurement."""
    drift: float
    """Change of the calculation's median from before to after; 0.1 is 10 % slower."""
    noisy: bool
    """True when any of the three is over 5 %: intervals may be too narrow, look at ratios only."""


def probe() -> tuple[float, ...]:
    """Milliseconds of REPEATS runs of the fixed calculation. Takes about a tenth of a second."""
    times_ms = []
    for _ in range(REPEATS):
        start = time.perf_counter_ns()
        hashlib.sha256(BLOCK).digest()
        times_ms.append((time.perf_counter_ns() - start) / 1_000_000)
    return tuple(times_ms)


def judge(before: tuple[float, ...], after: tuple[float, ...]) -> Noise:
    """What two probes, one on each side of a measurement, say of it."""
    variation_before, variation_after = _variation(before), _variation(after)
    drift = float(np.median(after) / np.median(before)) - 1
    return Noise(
        variation_before=round(variation_before, 4),
        variation_after=round(variation_after, 4),
        drift=round(drift, 4),
        noisy=max(variation_before, variation_after, abs(drift)) > LIMIT,
    )


def _variation(samples: tuple[float, ...]) -> float:
    return float(np.std(samples) / np.mean(samples))
