"""What samples of several processes allow to be said.

Samples of one process have more in common than those of two: where its memory lies, what the
machine did meanwhile. So intervals draw processes first, with replacement, and then samples within
each: a hierarchical bootstrap.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motionfit.benchmarks import estimates
from motionfit.training.json_record import Estimate
from motionfit.training.resampling import RESAMPLES, estimate

Floats = NDArray[np.float64]
Processes = Sequence[Floats]
"""The samples of each process, equally many of each; sample i of two cases of a process is of the
same round."""

LEAST_PROCESSES = 5
LARGEST_DRAW = 2_000_000  # numbers in memory at once


def median(processes: Processes, *, seed: int) -> Estimate | None:
    """The median of all samples with its interval; None when there are under 11."""
    if not processes or estimates.too_few(len(pooled(processes)), share=0.5):
        return None
    value = float(np.median(pooled(processes)))
    return estimate(value, resampled=_resampled_medians(processes, seed=seed))


def within_rounds(above: Processes, below: Processes) -> Processes:
    """The ratio of two cases in each round of each process that has both."""
    return [a / b for a, b in zip(above, below, strict=True)]


def paired_ratio(above: Processes, below: Processes, *, seed: int) -> Estimate | None:
    """Median of the ratios within a round, with its interval; None for fewer than 11 rounds."""
    return median(within_rounds(above, below), seed=seed)


def between_runs(first: Processes, second: Processes, *, seed: int) -> Estimate | None:
    """The median of one run over that of another, with its interval: each is resampled on its own.
    None for fewer than 11 samples in either.
    """
    a, b = median(first, seed=seed), median(second, seed=seed)
    if a is None or b is None:
        return None
    above, below = (_resampled_medians(one, seed=seed + i) for i, one in enumerate((first, second)))
    return estimate(a.value / b.value, resampled=above / below)


def quantile(processes: Processes, *, share: float) -> float | None:
    """A percentile over all samples; None where ``estimates.samples_needed`` are not there."""
    return estimates.quantile(pooled(processes), share=share)


def exponent(sizes: Sequence[float], points: Sequence[Processes], *, seed: int) -> Estimate | None:
    """The k for which the time grows as size^k: the slope of a line through the logarithms of the
    medians, with its interval. None for fewer than three sizes, or too few samples.
    """
    if len(sizes) < 3 or any(estimates.too_few(len(pooled(one)), share=0.5) for one in points):
        return None
    x = np.log(np.asarray(sizes, np.float64))
    x -= x.mean()
    drawn = np.stack([_resampled_medians(one, seed=seed + i) for i, one in enumerate(points)])
    found = np.array([np.median(pooled(one)) for one in points])
    slopes = x @ np.log(drawn) / (x @ x)
    return estimate(float(x @ np.log(found) / (x @ x)), resampled=slopes)


def pooled(processes: Processes) -> Floats:
    """All samples."""
    return np.concatenate([np.asarray(one, np.float64) for one in processes])


def _resampled_medians(processes: Processes, *, seed: int) -> Floats:
    """The median (RESAMPLES,) of draws of processes, and of samples within each.

    Raises ValueError unless all processes have equally many samples.
    """
    samples = np.stack(processes)  # (P, n)
    count, n = samples.shape
    rng = np.random.default_rng(seed)
    rows = max(1, LARGEST_DRAW // samples.size)
    found = []
    for begin in range(0, RESAMPLES, rows):
        draws = min(rows, RESAMPLES - begin)
        chosen = rng.integers(count, size=(draws, count, 1))
        drawn = samples[chosen, rng.integers(n, size=(draws, count, n))]
        found.append(np.median(drawn.reshape(draws, -1), axis=1))
    return np.concatenate(found)
