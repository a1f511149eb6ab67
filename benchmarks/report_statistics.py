"""What samples of several processes allow to be said.

Samples of one process have more in common than those of two: where its memory lies, what the
machine did meanwhile. So intervals draw processes first, with replacement, and then samples within
each: a hierarchical bootstrap.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from motionfit.benchmarks import estimates
from motionfit.training.json_record import Estimate
from motionfit.training.resampling import RESAMPLES, estimate

Floats = NDArray[np.float64]
Processes = Sequence[Floats]
"""The samples of each process; sample i of two cases of a process is of the same round."""

LEAST_PROCESSES = 5


def median(processes: Processes, *, seed: int) -> Estimate | None:
    """The median of all samples with its interval; None when there are under 11."""
    return _estimated(processes, np.median, seed=seed)


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
    drawn = _resampled(first, np.median, seed=seed) / _resampled(second, np.median, seed=seed + 1)
    return estimate(a.value / b.value, resampled=drawn)


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
    drawn = np.stack([_resampled(one, np.median, seed=seed + i) for i, one in enumerate(points)])
    found = np.array([np.median(pooled(one)) for one in points])
    slopes = x @ np.log(drawn) / (x @ x)
    return estimate(float(x @ np.log(found) / (x @ x)), resampled=slopes)


def pooled(processes: Processes) -> Floats:
    """All samples."""
    return np.concatenate([np.asarray(one, np.float64) for one in processes])


def _estimated(
    processes: Processes, statistic: Callable[[Floats], np.floating], *, seed: int
) -> Estimate | None:
    values = pooled(processes) if processes else np.empty(0)
    if estimates.too_few(len(values), share=0.5):
        return None
    return estimate(float(statistic(values)), resampled=_resampled(processes, statistic, seed=seed))


def _resampled(
    processes: Processes, statistic: Callable[[Floats], np.floating], *, seed: int
) -> Floats:
    """The statistic (RESAMPLES,) of draws of processes, and of samples within each."""
    rng = np.random.default_rng(seed)
    count = len(processes)
    found = np.empty(RESAMPLES)
    for place in range(RESAMPLES):
        chosen = [processes[number] for number in rng.integers(count, size=count)]
        drawn = [one[rng.integers(len(one), size=len(one))] for one in chosen]
        found[place] = statistic(np.concatenate(drawn))
    return found
