"""A video file -> the frames of its clips. The one path for training, export, serving, benchmarks.

Only what the clips need is decoded. The container is demuxed once for an index, then for each
window the demuxer seeks to the key frame before it and decodes up to its end. Which frame is on
screen at a moment is decided by the times of the frames that were really decoded. Where the
container gives no usable times (AVI, WMV, MPEG-PS; timestamps missing, repeated or running
backwards), the whole video is decoded once and the frames are selected afterwards.

Packets that the decoder refuses are skipped: the frame before stays on screen, and the answer
carries a note. Pictures that it repairs on its own are used as they are.
"""

import math
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits, Shown, VideoInfo, VideoReader
from motionfit.inference.errors import SpanOutside, TooManyWindows, VideoError
from motionfit.inference.picture import Scaler
from motionfit.inference.sampling import (
    EARLY_US,
    MICROSECONDS,
    WHOLE,
    Span,
    Times,
    clip_length_us,
    clip_starts,
    sample_times,
    window_count,
    window_starts,
)
from motionfit.inference.windows import windows

Source = Path | str | BinaryIO
WINDOWS_AT_ONCE = 16
"""Windows of a chunk that ``read_windows`` gives."""


@dataclass(frozen=True, kw_only=True)
class Clips:
    """K clips of one video, ready for the model."""

    frames: NDArray[np.uint8]
    """(K, T, S, S, 3) uint8 RGB"""
    starts_us: Times
    """(K,) int64, microseconds from the first frame"""
    info: VideoInfo
    left: int = 0
    """Of sliding windows: how many follow in later chunks."""

    def without_frames(self) -> "Clips":
        """The same, but for the frames: none, (0, T, S, S, 3)."""
        return replace(self, frames=np.empty((0, *self.frames.shape[1:]), np.uint8))


@dataclass(frozen=True, kw_only=True)
class Frames:
    """All frames of one video."""

    frames: NDArray[np.uint8]
    """(F, h, w, 3) uint8 RGB, short side as asked for"""
    times_us: Times
    """(F,) int64, ascending from 0: when each comes on screen"""
    duration_us: int
    """When the last frame leaves the screen."""
    info: VideoInfo


def read_clips(
    source: Source,
    *,
    spec: ClipSpec,
    num_clips: int | None = None,
    span: Span = WHOLE,
    limits: DecodeLimits | None = None,
) -> Clips:
    """Read ``num_clips`` (default: the spec's) clips spread over a video, in this process.

    Raises a VideoError when the video is at fault, FileNotFoundError when it is not there.
    """
    count = spec.num_clips if num_clips is None else num_clips
    with _reader(source, limits) as reader:
        part = _Part.of(reader, spec=spec, span=span)
        starts = part.start_us + clip_starts(part.length_us, spec=spec, num_clips=count)
        (clips,) = part.clips(starts, at_once=count)
        return clips


def read_windows(
    source: Source,
    *,
    spec: ClipSpec,
    stride_seconds: float,
    span: Span = WHOLE,
    max_windows: int,
    limits: DecodeLimits | None = None,
) -> Generator[Clips]:
    """Read windows that slide over a video in this process: in order, a few at a time, each chunk
    decoded when it is asked for.

    One starts every ``stride_seconds``, and the last one ends with the video. The notes in
    ``info`` grow from chunk to chunk. Raises ValueError for a stride or maximum out of range, and
    with the first chunk what ``read_clips`` raises, and TooManyWindows.
    """
    stride_us = checked_stride_us(stride_seconds, max_windows=max_windows)
    return _read_windows(source, spec, stride_us, span, max_windows, limits)


def checked_stride_us(stride_seconds: float, *, max_windows: int) -> int:
    """The stride in microseconds. Raises ValueError when it or the maximum is out of range."""
    if not (math.isfinite(stride_seconds) and stride_seconds >= 1 / MICROSECONDS):
        raise ValueError(f"stride_seconds must be a number over 0, got {stride_seconds!r}")
    if max_windows < 2:
        raise ValueError(f"max_windows must be at least 2, got {max_windows}")
    return round(stride_seconds * MICROSECONDS)


def _read_windows(
    source: Source,
    spec: ClipSpec,
    stride_us: int,
    span: Span,
    max_windows: int,
    limits: DecodeLimits | None,
) -> Generator[Clips]:
    with _reader(source, limits) as reader:
        part = _Part.of(reader, spec=spec, span=span)
        count = window_count(part.length_us, spec=spec, stride_us=stride_us)
        if count > max_windows:
            slack_us = part.length_us - clip_length_us(spec)
            enough = math.ceil(slack_us / (max_windows - 1) / 10_000) / 100
            raise TooManyWindows(
                f"{count} windows; at most {max_windows} are allowed: slide by {enough:g} s, or "
                "look at a shorter part of the video"
            )
        starts = part.start_us + window_starts(part.length_us, spec=spec, stride_us=stride_us)
        with closing(part.clips(starts, at_once=WINDOWS_AT_ONCE)) as chunks:
            yield from chunks


def read_frames(source: Source, *, short_side: int, limits: DecodeLimits | None = None) -> Frames:
    """Read every frame of a video, scaled but not cropped, in this process.

    Raises a VideoError when the video is at fault, FileNotFoundError when it is not there.
    """
    with _reader(source, limits) as reader:
        scaler = Scaler(short_side=short_side, crop=None, pixel_aspect=reader.pixel_aspect)
        decoded = reader.decode_all(scaler)
        return Frames(
            frames=np.stack(decoded.pictures),
            times_us=decoded.times_us,
            duration_us=reader.duration_us,
            info=reader.info(),
        )


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The part of an open video that is looked at, and how."""

    reader: VideoReader
    spec: ClipSpec
    scaler: Scaler
    shown: Shown
    start_us: int
    end_us: int

    @classmethod
    def of(cls, reader: VideoReader, *, spec: ClipSpec, span: Span) -> "_Part":
        """Raises SpanOutside when the video ends before the span begins."""
        scaler = Scaler(
            short_side=spec.short_side, crop=spec.crop, pixel_aspect=reader.pixel_aspect
        )
        shown = reader.on_screen(scaler)  # after which the duration is known
        start_us, end_us = _bounds(span, duration_us=reader.duration_us)
        return cls(
            reader=reader, spec=spec, scaler=scaler, shown=shown, start_us=start_us, end_us=end_us
        )

    @property
    def length_us(self) -> int:
        return self.end_us - self.start_us

    def clips(self, starts_us: Times, *, at_once: int) -> Generator[Clips]:
        """The clips that start at ``starts_us``, ascending, ``at_once`` in a chunk."""
        if self.length_us < clip_length_us(self.spec):
            what = "video" if self.length_us == self.reader.duration_us else "part looked at"
            self.reader.notes.append(
                f"The {what} is shorter than one clip: its last frame is held."
            )
        times = np.stack([sample_times(int(start), spec=self.spec) for start in starts_us])
        if self.end_us < self.reader.duration_us:
            # Nothing is seen of what comes on screen at the end of the part.
            last_us = max(self.start_us, self.end_us - EARLY_US - 1)
            times = np.minimum(times, last_us)
        found = windows(times, shown=self.shown)
        shape = (self.spec.num_frames, self.spec.crop, self.spec.crop, 3)
        for first in range(0, len(starts_us), at_once):
            chunk = starts_us[first : first + at_once]
            pictures = [picture for window in islice(found, len(chunk)) for picture in window]
            yield Clips(
                frames=np.stack(pictures).reshape(len(chunk), *shape),
                starts_us=chunk,
                info=self.reader.info(),
                left=len(starts_us) - first - len(chunk),
            )


def _bounds(span: Span, *, duration_us: int) -> tuple[int, int]:
    """The first microsecond of a span, and the one after its last."""
    if span.start_seconds * MICROSECONDS >= max(duration_us, 1):
        raise SpanOutside(
            f"the video is {duration_us / MICROSECONDS:g} s long: nothing in it begins at "
            f"{span.start_seconds:g} s"
        )
    start_us = round(span.start_seconds * MICROSECONDS)
    if span.end_seconds is None or span.end_seconds * MICROSECONDS >= duration_us:
        return start_us, duration_us
    return start_us, round(span.end_seconds * MICROSECONDS)


@contextmanager
def _reader(source: Source, limits: DecodeLimits | None) -> Iterator[VideoReader]:
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file, _reader(file, limits) as reader:
            yield reader
    else:
        with VideoReader(source, limits=limits) as reader:
            try:
                yield reader
            except VideoError as error:
                error.codec = reader.codec
                raise
