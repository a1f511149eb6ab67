"""A video file -> the frames of its clips. The one path for training, export, serving, benchmarks.

Only what the clips need is decoded. The container is demuxed once for an index, then for each
window the demuxer seeks to the key frame before it and decodes up to its end. Which frame is on
screen at a moment is decided by the times of the frames that were really decoded. Where the
container gives no usable times (AVI, WMV, MPEG-PS; timestamps missing, repeated or running
backwards), the whole video is decoded once and the frames are selected afterwards.

Packets that the decoder refuses are skipped: the frame before stays on screen, and the answer
carries a note. Pictures that it repairs on its own are used as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits, VideoInfo, VideoReader
from motionfit.inference.picture import Scaler
from motionfit.inference.sampling import Times, clip_length_us, clip_starts, sample_times

Source = Path | str | BinaryIO


@dataclass(frozen=True, kw_only=True)
class Clips:
    """K clips of one video, ready for the model."""

    frames: NDArray[np.uint8]
    """(K, T, S, S, 3) uint8 RGB"""
    starts_us: Times
    """(K,) int64, microseconds from the first frame"""
    info: VideoInfo


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
    limits: DecodeLimits | None = None,
) -> Clips:
    """Read ``num_clips`` (default: the spec's) clips spread over a video, in this process.

    Raises a VideoError when the video is at fault, FileNotFoundError when it is not there.
    """
    count = spec.num_clips if num_clips is None else num_clips
    with _reader(source, limits) as reader:
        scaler = Scaler(
            short_side=spec.short_side, crop=spec.crop, pixel_aspect=reader.pixel_aspect
        )
        select = reader.select if reader.index.trusted else reader.decode_all(scaler).select
        starts = clip_starts(reader.duration_us, spec=spec, num_clips=count)
        times = np.concatenate([sample_times(int(start), spec=spec) for start in starts])
        pictures = select(times, scaler=scaler)
        if reader.duration_us < clip_length_us(spec):
            reader.notes.append("The video is shorter than one clip: its last frame is held.")
        shape = (count, spec.num_frames, spec.crop, spec.crop, 3)
        return Clips(frames=np.stack(pictures).reshape(shape), starts_us=starts, info=reader.info())


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


@contextmanager
def _reader(source: Source, limits: DecodeLimits | None) -> Iterator[VideoReader]:
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file, VideoReader(file, limits=limits) as reader:
            yield reader
    else:
        with VideoReader(source, limits=limits) as reader:
            yield reader
