"""Which frames make a clip. Time decides, in integer microseconds; nothing here decodes.

A frame is on screen from its timestamp until the next frame's. A clip that starts at ``s`` takes
the frames on screen at ``s, s + 1/r, s + 2/r, ...``, where ``r`` is the sampling rate, so a 60 fps
phone video and a 25 fps AVI of the same scene give the same motion. It follows that

- a source slower than the sampling rate repeats frames, each as long as it was on screen;
- a video shorter than a clip ends with its last frame held;
- a frame due at most ``EARLY_US`` after the sampled moment counts as on screen: Matroska, FLV and
  others round timestamps to a millisecond, which must not change the frames taken.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.clip import ClipSpec

EARLY_US = 1_000
MICROSECONDS = 1_000_000

Times = NDArray[np.int64]  # microseconds


@dataclass(frozen=True, kw_only=True)
class Span:
    """The part of a video that is looked at, as if it were a video of its own.

    Raises ValueError, naming what was got, when it is no span.
    """

    start_seconds: float = 0.0
    """From the first frame; 0 or later."""
    end_seconds: float | None = None
    """After the start; None, or later than the video's end: up to its end."""

    def __post_init__(self) -> None:
        start, end = self.start_seconds, self.end_seconds
        if not (math.isfinite(start) and start >= 0):
            raise ValueError(f"start_seconds must be a number from 0 on, got {start!r}")
        if end is not None and not (math.isfinite(end) and end > start):
            raise ValueError(
                f"end_seconds must be a number over start_seconds ({start:g}), got {end!r}"
            )


WHOLE = Span()


def to_microseconds(ticks: int, time_base: Fraction) -> int:
    """``ticks`` of ``time_base`` seconds, rounded to the nearest microsecond."""
    numerator = 2 * ticks * time_base.numerator * MICROSECONDS + time_base.denominator
    return numerator // (2 * time_base.denominator)


def clip_starts(duration_us: int, *, spec: ClipSpec, num_clips: int) -> Times:
    """Start times of ``num_clips`` windows, (K,) int64 microseconds from the first frame.

    Windows sit in the middles of K equal parts of the range of possible starts; one clip is the
    middle of the video. A video shorter than a clip has all of them at 0.
    """
    slack = max(0, duration_us - clip_length_us(spec))
    return np.array([slack * (2 * k + 1) // (2 * num_clips) for k in range(num_clips)], np.int64)


def window_count(duration_us: int, *, spec: ClipSpec, stride_us: int) -> int:
    """How many starts ``window_starts`` gives, counted without making them."""
    return 1 + -(-max(0, duration_us - clip_length_us(spec)) // stride_us)


def window_starts(duration_us: int, *, spec: ClipSpec, stride_us: int) -> Times:
    """Start times of windows that slide over a video, (K,) int64 microseconds from its start.

    One starts every ``stride_us`` as long as it ends inside the video, and the last one ends with
    it. A video shorter than a clip has one, at 0.
    """
    last = max(0, duration_us - clip_length_us(spec))
    return np.append(np.arange(0, last, stride_us, dtype=np.int64), np.int64(last))


def clip_length_us(spec: ClipSpec) -> int:
    """Microseconds of video that one clip spans."""
    return int(spec.num_frames * MICROSECONDS / _rate(spec))


def sample_times(start_us: int, *, spec: ClipSpec) -> Times:
    """The moments, (T,) int64 microseconds, at which a clip starting at ``start_us`` looks."""
    rate = _rate(spec)
    return np.array(
        [start_us + int(j * MICROSECONDS / rate) for j in range(spec.num_frames)], np.int64
    )


def frames_on_screen(times_us: Times, *, frame_times_us: Times) -> NDArray[np.int64]:
    """Index of the frame on screen at each moment. Before the first frame that is the first.

    ``frame_times_us`` (F,) must be ascending and hold at least one frame.
    """
    indices = np.searchsorted(frame_times_us, times_us + EARLY_US, side="right") - 1
    return np.maximum(indices, 0)


def _rate(spec: ClipSpec) -> Fraction:
    return Fraction(spec.frame_rate).limit_denominator(1_001)
