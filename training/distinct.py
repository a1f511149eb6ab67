"""Which frames of a video are pictures of their own, and at which even times they were taken.

A film of 25 frames a second stored at 30 shows every fifth frame twice. Flow from a frame to its
copy is zero, and flow across a copy covers 1/25 s however the file spaces it: left alone, both
would write the cadence into the flow, where a network reads it. So copies are dropped, and the
frames that remain are spread evenly over the time that they share.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (  # type: ignore[import-untyped]
    percentile_filter,
    uniform_filter1d,
)

from motionfit.inference.sampling import Times

COPY_SHARE = 0.25
"""A frame is a copy when it differs from the one before by no more than this share of what
neighbouring frames differ by. Of 58 videos of all classes of UCF101's files, 9,394 pairs of frames,
the pairs are fewest between 0.2 and 0.35 (1.2 % of them a tenth); copies, which compression leaves
a little different, lie below 0.15, and frames of slow, of fast and of hardly any motion above 0.5.
"""
_CELLS = 16  # along the short side: what moves may be small
_PERCENTILE = 99  # over the cells: nearly the largest, but no single speck
_NEIGHBOURS = 9  # frames, both sides together
_USUAL = 75  # percentile over the neighbours: of five frames, three may be copies
_EVEN_OVER = 9  # frames: two rounds of 25 in 30, or of 24 in 30
_STANDSTILL = 4  # copies in a row: longer, time has passed and nothing moved

Grey = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Distinct:
    """The frames of a video that are no copies, at least one."""

    frames: NDArray[np.int64]
    """(D,) int64, ascending from 0: which frames of the video"""
    shown_us: Times
    """(D,) int64, ascending from 0: when each comes on screen, as the file says"""
    taken_us: NDArray[np.float64]
    """(D,) float64 microseconds, ascending: the same without the cadence of copies"""


def find_distinct(grey: Grey, *, times_us: Times) -> Distinct:
    """The distinct ones of the frames (F, h, w) uint8, which come on screen at ``times_us`` (F,).

    Where nothing moves at all, as in a still picture, only the first frame is.
    """
    frames = np.flatnonzero(~copies(grey))
    shown_us = times_us[frames]
    return Distinct(frames=frames, shown_us=shown_us, taken_us=_evened(frames, shown_us))


def copies(grey: Grey) -> NDArray[np.bool_]:
    """Which of the frames (F, h, w) show what the one before showed, (F,)."""
    found = np.zeros(len(grey), bool)
    if len(grey) > 1:
        changes = _changes(grey)
        usual = percentile_filter(changes, _USUAL, size=_NEIGHBOURS, mode="nearest")
        found[1:] = changes <= COPY_SHARE * usual
    return found


def _changes(grey: Grey) -> NDArray[np.float64]:
    """How much each frame but the first differs from the one before, (F - 1,) grey levels."""
    height, width = grey.shape[1:]
    cell = min(height, width) / _CELLS
    cells = (max(1, round(width / cell)), max(1, round(height / cell)))
    means = [
        cv2.resize(cv2.absdiff(a, b).astype(np.float32), cells, interpolation=cv2.INTER_AREA)
        for a, b in zip(grey, grey[1:], strict=False)
    ]
    return np.asarray(np.percentile(np.stack(means), _PERCENTILE, axis=(1, 2)), np.float64)


def _evened(frames: NDArray[np.int64], shown_us: Times) -> NDArray[np.float64]:
    """Times without the cadence: moving averages, within each stretch that has copies in it."""
    steps = np.diff(frames)
    ends = np.flatnonzero(steps > _STANDSTILL) + 1
    taken_us = shown_us.astype(np.float64)
    for part in np.split(np.arange(len(frames)), ends):
        if np.any(np.diff(frames[part]) > 1):
            taken_us[part] = _averaged(taken_us[part])
    return taken_us


def _averaged(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """A moving average that leaves even times as they are, at the ends too."""
    reach = min(_EVEN_OVER // 2, len(times) - 1)
    extended = np.pad(times, reach, mode="reflect", reflect_type="odd")
    averaged = uniform_filter1d(extended, 2 * reach + 1)
    return np.asarray(averaged[reach : len(extended) - reach], np.float64)
