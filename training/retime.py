"""A video as it would be stored at another frame rate: as long, with frames doubled or dropped.

That is what happens to films between television systems, and what FFmpeg's filter ``fps`` does. The
motion is the same and so are the moments that clips look at, so a network that answers otherwise
read the cadence: which frames are repeated or missing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.sampling import MICROSECONDS, Times

# Of European and of American television; what cameras and film archives mostly are.
STANDARD_RATES = (Fraction(25), Fraction(30_000, 1_001))
# 29.97 and 30 frames a second are the same cadence but for a frame in a thousand.
SAME_RATE = Fraction(1, 50)


@dataclass(frozen=True, kw_only=True)
class Retimed:
    """The frames of a video at another rate."""

    sources: NDArray[np.int64]
    """(G,) int64, which frame of the video each is"""
    times_us: Times
    """(G,) int64, ascending from 0: when each comes on screen"""
    duration_us: int


def retimed(times_us: Times, *, duration_us: int, rate: Fraction) -> Retimed:
    """A video with frames at ``times_us`` (F,), stored at ``rate`` frames a second.

    Each frame moves to the nearest place of the new grid; a place shows the last frame moved to it
    or before it.
    """
    places = _rounded(times_us * rate.numerator, rate.denominator * MICROSECONDS)
    count = max(1, int(_rounded(duration_us * rate.numerator, rate.denominator * MICROSECONDS)))
    grid = np.arange(count + 1, dtype=np.int64)
    starts = _rounded(grid * (rate.denominator * MICROSECONDS), rate.numerator)
    return Retimed(
        sources=np.searchsorted(places, grid[:-1], side="right") - 1,
        times_us=starts[:-1],
        duration_us=int(starts[-1]),
    )


def rates_by_frequency(rates: Iterable[Fraction | None]) -> tuple[Fraction, ...]:
    """The rates of a data set, the most frequent first, then the standard ones."""
    counted = Counter(sorted(rate for rate in rates if rate is not None))
    return tuple(dict.fromkeys([rate for rate, _ in counted.most_common()] + [*STANDARD_RATES]))


def other_rate(own: Fraction | None, *, choices: Sequence[Fraction]) -> Fraction | None:
    """The first of ``choices`` that is not ``own``, give or take 2 %; None when all are."""
    return next((r for r in choices if own is None or abs(r / own - 1) > SAME_RATE), None)


def nominal_rate(frames_per_second: float) -> Fraction:
    """The rate meant by a decimal number: 29.97 is 30000/1001, and so on."""
    television = Fraction(round(frames_per_second * 1.001) * 1_000, 1_001)
    meant = abs(float(television) - frames_per_second) < 0.005
    return television if meant else Fraction(frames_per_second).limit_denominator(1_001)


def _rounded(numerator: NDArray[np.int64] | int, denominator: int) -> NDArray[np.int64]:
    """``numerator / denominator`` to the nearest integer, halves up."""
    return np.asarray((2 * numerator + denominator) // (2 * denominator))
