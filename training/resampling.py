"""How far a figure can be trusted: it again over clusters drawn with replacement."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from motionfit.training.json_record import Estimate

RESAMPLES = 2000
INTERVAL_PERCENT = (2.5, 97.5)


def clustered(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    clusters: int,
    seed: int,
) -> Estimate:
    """A statistic with its interval by drawing whole clusters with replacement.

    ``statistic`` takes how often each cluster was drawn, (R, clusters) float64, and gives the
    statistic of each row, (R,). A draw where it is undefined (nan) is left out.
    """
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=RESAMPLES)
    value = float(statistic(np.ones((1, clusters)))[0])
    return estimate(value, resampled=statistic(draws.astype(np.float64)))


def estimate(value: float, *, resampled: NDArray[np.float64]) -> Estimate:
    """``value`` with the middle 95 % of what resampling gave instead of it; nan is left out."""
    low, high = np.nanpercentile(resampled, INTERVAL_PERCENT)
    return Estimate(value=rounded(value), low=rounded(low), high=rounded(high))


def rounded(value: float) -> float:
    """Six significant digits: more would only pretend."""
    return float(f"{value:.6g}")
