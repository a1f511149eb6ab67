"""From which frame to which the flow of each moment of a video's clips is computed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.sampling import MICROSECONDS, Times, frames_on_screen
from motionfit.training.distinct import Distinct

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Pairs of frames of one video, each once, and which moment has which."""

    first: Indices
    """(U,) int64 frames of the video"""
    second: Indices
    """(U,) int64, later ones"""
    seconds: NDArray[np.float64]
    """(U,) float64, above 0: the time that passes between the two"""
    places: NDArray[np.int32]
    """of the moments' shape: the pair that each moment has"""


def find_pairs(distinct: Distinct, *, moments_us: Times, gap_seconds: float) -> Pairs | None:
    """The pairs for moments of any shape; None when the video has only one distinct frame.

    The first frame is the one on screen, as in an RGB clip. The second is, of those after it, the
    one taken nearest to ``gap_seconds`` later. Moments that are too late for that, in a video
    shorter than a clip, have the last pair that is so far apart.
    """
    last = len(distinct.frames) - 1
    if last == 0:
        return None
    gap_us = gap_seconds * MICROSECONDS
    taken_us = distinct.taken_us
    latest = min(last - 1, int(_nearest(taken_us, taken_us[-1:] - gap_us)[0]))
    on_screen = frames_on_screen(moments_us.ravel(), frame_times_us=distinct.shown_us)
    first = np.minimum(on_screen, latest)
    second = np.maximum(_nearest(taken_us, taken_us[first] + gap_us), first + 1)
    pairs, places = np.unique(np.stack([first, second]), axis=1, return_inverse=True)
    first, second = pairs
    return Pairs(
        first=distinct.frames[first],
        second=distinct.frames[second],
        seconds=(taken_us[second] - taken_us[first]) / MICROSECONDS,
        places=places.reshape(moments_us.shape).astype(np.int32),
    )


def _nearest(ascending: NDArray[np.float64], values: NDArray[np.float64]) -> Indices:
    """The index of the nearest of ``ascending`` (at least two) for each value; ties: the first."""
    after = np.clip(np.searchsorted(ascending, values), 1, len(ascending) - 1)
    nearer_before = values - ascending[after - 1] <= ascending[after] - values
    return np.where(nearer_before, after - 1, after)
