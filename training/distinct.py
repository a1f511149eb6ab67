"""Which frames of a video are pictures of their own, and when each was taken.

A film of 25 frames a second stored at 30 shows every fifth frame twice. Flow from a frame to its
copy is zero, and flow across a copy covers 1/25 s however the file spaces it: left alone, both
would write the cadence into the flow, where a network reads it. So copies are dropped, and the
frames that remain are spread evenly over the time that they share. Where copies stand for frames
that were lost, things move twice as far across one; then the times are right as they are.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from motionfit.inference.sampling import Times

COPY_SHARE = 0.25
"""A frame is a copy when it differs from the one before by no more than this share of what
neighbouring frames differ by. In 58 videos of the ten classes that the threshold was chosen on,
9,394 pairs of frames, copies (which compression leaves a little different) lie mostly below 0.15
and slow, fast and hardly any motion above 0.5; pairs are fewest between 0.2 and 0.35.
"""
LOST_RATIO = 1.15
"""Copies stand for lost frames when the picture after one differs from the one before by more than
so many times what other neighbours do, in the median. Of 49 videos with copies this finds all nine
whose flow is 1.4 to 2 times as large across copies, and 3 of the 38 where it is at most 1.2 times
(mostly 1.0). Pictures differ by less than in proportion to how far things move.
"""
_CELLS = 16  # along the short side: what moves may be small
_PERCENTILE = 99  # over the cells: nearly the largest, but no single speck
_NEIGHBOURS = 9  # frames, both sides together
_USUAL = 75  # percentile over the neighbours: two thirds of them may be copies
_EVEN_OVER = 5  # steps, twice: 25 in 30 repeats itself after so many, 24 in 30 after one less
_STANDSTILL = 4  # frames from one to the next: further apart, time has passed and nothing moved

Grey = NDArray[np.uint8]
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Distinct:
    """The frames of a video that are no copies, at least one."""

    frames: Indices
    """(D,) int64, ascending from 0: which frames of the video"""
    shown_us: Times
    """(D,) int64, ascending from 0: when each comes on screen, as the file says"""
    taken_us: Floats
    """(D,) float64 microseconds, ascending from 0: the same without the cadence of copies; only
    the time from one to another of these matters"""


def find_distinct(grey: Grey, *, times_us: Times) -> Distinct:
    """The distinct ones of the frames (F, h, w) uint8, which come on screen at ``times_us`` (F,).

    Where nothing moves at all, as in a still picture, only the first frame is.
    """
    changes = _changes(grey)
    frames = np.flatnonzero(np.append(True, ~_copies(changes)))
    shown_us = times_us[frames]
    if _lost(changes[frames[1:] - 1], np.diff(frames)):
        return Distinct(frames=frames, shown_us=shown_us, taken_us=shown_us.astype(np.float64))
    return Distinct(frames=frames, shown_us=shown_us, taken_us=_evened(frames, shown_us))


def _changes(grey: Grey) -> Floats:
    """How much each frame but the first differs from the one before, (F - 1,) grey levels."""
    height, width = grey.shape[1:]
    cell = min(height, width) / _CELLS
    cells = (max(1, round(width / cell)), max(1, round(height / cell)))
    means = [
        cv2.resize(cv2.absdiff(a, b).astype(np.float32), cells, interpolation=cv2.INTER_AREA)
        for a, b in zip(grey, grey[1:], strict=False)
    ]
    if not means:
        return np.empty(0)
    return np.asarray(np.percentile(np.stack(means), _PERCENTILE, axis=(1, 2)), np.float64)


def _copies(changes: Floats) -> NDArray[np.bool_]:
    """Which of the frames but the first show what the one before showed."""
    return changes <= COPY_SHARE * _of_neighbours(changes, percentile=_USUAL)


def _of_neighbours(changes: Floats, *, percentile: float) -> Floats:
    """A percentile of the changes around each, its own among them."""
    if not changes.size:
        return changes
    windows = sliding_window_view(np.pad(changes, _NEIGHBOURS // 2, mode="edge"), _NEIGHBOURS)
    return np.asarray(np.percentile(windows, percentile, axis=1), np.float64)


def _lost(changes: Floats, steps: Indices) -> bool:
    """Whether things move further across copies: from the changes that led to distinct frames, and
    how many frames each is after the one before.
    """
    across = steps > 1
    if not across.any() or across.all():
        return False
    relative = changes / _of_neighbours(changes, percentile=50)
    return bool(np.median(relative[across]) > LOST_RATIO * np.median(relative[~across]))


def _evened(frames: Indices, shown_us: Times) -> Floats:
    """Times without the cadence, where there is one: the steps between them are averaged."""
    apart = np.diff(frames)
    steps_us = np.diff(shown_us).astype(np.float64)
    for part in np.split(np.arange(len(apart)), np.flatnonzero(apart > _STANDSTILL)):
        inside = part[apart[part] <= _STANDSTILL]
        if np.any(apart[inside] > 1):
            steps_us[inside] = _averaged(_averaged(steps_us[inside]))
    return np.append(0, np.cumsum(steps_us)) + float(shown_us[0])


def _averaged(steps: Floats) -> Floats:
    """The mean over the steps around each; at the ends, over as many on one side."""
    count = min(_EVEN_OVER, len(steps))
    means = np.convolve(steps, np.full(count, 1 / count), mode="valid")
    around = np.clip(np.arange(len(steps)) - count // 2, 0, len(means) - 1)
    return np.asarray(means[around], np.float64)
