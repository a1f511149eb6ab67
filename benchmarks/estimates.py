"""What a handful of samples allows to be said: percentiles, medians, ratios, their intervals."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from motionfit.training.json_record import Estimate
from motionfit.training.resampling import RESAMPLES, estimate

CONFIDENCE = 0.99
LARGEST_DRAW = 1_000_000  # numbers in memory at once

Samples = Sequence[float] | NDArray[np.float64]


@cache
def samples_needed(share: float) -> int:
    """The fewest samples from which the quantile ``share`` (0.5 up to 1) may be claimed.

    One independent sample lies over the true quantile with probability ``r = 1 - share``, so of
    n samples ``Binomial(n, r)`` do. The largest sample alone is an outlier, not evidence: the
    quantile is claimed only when, with 99 % confidence, at least two samples lie over it. The
    chance of none or one is

        (1 - r)^n  +  n r (1 - r)^(n - 1)

    and n is the smallest number that brings it down to 1 %: 11 samples for the median, 64 for the
    90th percentile, 130 for the 95th, 662 for the 99th.
    """
    if not 0.5 <= share < 1:
        raise ValueError(f"share must be from 0.5 up to 1, got {share!r}")
    over = 1 - share
    n = 2
    while share**n + n * over * share ** (n - 1) > 1 - CONFIDENCE:
        n += 1
    return n


def too_few(n: int, *, share: float) -> str | None:
    """Why ``n`` samples do not allow the quantile ``share`` to be claimed; None when they do."""
    needed = samples_needed(share)
    return None if n >= needed else f"n too small: {n} samples, {needed} needed"


def quantile(samples: Samples, *, share: float) -> float | None:
    """The smallest sample that at least ``share`` of all do not exceed; None when n is too small.

    It is a sample that was really seen: nothing is interpolated.
    """
    if too_few(len(samples), share=share):
        return None
    return float(np.quantile(np.asarray(samples), share, method="inverted_cdf"))


def median(samples: Samples, *, seed: int) -> Estimate | None:
    """The median with its bootstrap interval; None when n is too small (under 11)."""
    if too_few(len(samples), share=0.5):
        return None
    values = np.asarray(samples, np.float64)
    return estimate(float(np.median(values)), resampled=resampled_medians(values, seed=seed))


def ratio_of_medians(numerator: Samples, denominator: Samples, *, seed: int) -> Estimate | None:
    """Ratio of the medians of two *separate* runs, each resampled on its own."""
    if too_few(min(len(numerator), len(denominator)), share=0.5):
        return None
    above = resampled_medians(np.asarray(numerator, np.float64), seed=seed)
    below = resampled_medians(np.asarray(denominator, np.float64), seed=seed + 1)
    ratio = float(np.median(numerator) / np.median(denominator))
    return estimate(ratio, resampled=above / below)


def paired_ratio(numerator: Samples, denominator: Samples, *, seed: int) -> Estimate | None:
    """Median over the rounds of the ratio within a round, for two cases timed side by side.

    A slow moment of the machine hits both halves of a pair, so it cancels. Sample i of both must
    be of round i; ValueError when the numbers of samples differ.
    """
    if len(numerator) != len(denominator):
        raise ValueError(
            f"pairs need equal numbers of samples, got {len(numerator)} and {len(denominator)}"
        )
    return median(np.asarray(numerator) / np.asarray(denominator), seed=seed)


def resampled_medians(values: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    """Medians (RESAMPLES,) of draws with replacement from ``values`` (n,)."""
    rng = np.random.default_rng(seed)
    rows = min(RESAMPLES, max(1, LARGEST_DRAW // len(values)))
    medians = [
        np.median(values[rng.integers(len(values), size=(rows, len(values)))], axis=1)
        for _ in range(-(-RESAMPLES // rows))
    ]
    return np.asarray(np.concatenate(medians)[:RESAMPLES])
