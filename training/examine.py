"""A short look at every video of a data set: what it is, and eight small pictures of it.

Each video is opened in a child process (``inference.isolation``), so one that crashes, hangs or
fills the memory costs itself only. Only as much is decoded as the eight pictures need: damage
elsewhere goes unseen.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits, VideoInfo
from motionfit.inference.errors import NoFrames, VideoError
from motionfit.inference.isolation import DecoderProcess
from motionfit.training.manifest import Row
from motionfit.training.videos import reading_processes

MOMENTS = 8
SIDE = 16
LIMITS = DecodeLimits(timeout_seconds=120.0)

_LOOK = ClipSpec(num_frames=1, frame_rate=240.0, short_side=SIDE, crop=SIDE, num_clips=MOMENTS)

Pictures = NDArray[np.uint8]  # (MOMENTS, SIDE, SIDE) grey


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a video cannot be read."""

    empty: bool
    """Whether it holds no picture at all, rather than pictures that cannot be decoded."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Readable:
    """What is known of a video that can be read."""

    row: Row
    size_bytes: int
    info: VideoInfo
    pictures: Pictures
    """Grey central squares at moments evenly spread over the video."""


@dataclass(frozen=True, kw_only=True)
class Examined:
    """All videos of a data set, each in one of the two, in the order of the data set."""

    readable: tuple[Readable, ...]
    faulty: tuple[tuple[Row, Fault], ...]


def examine(rows: Sequence[Row], *, console: Console, limits: DecodeLimits = LIMITS) -> Examined:
    """Look at the video of each row, with a progress bar on ``console``."""
    processes = min(reading_processes(), len(rows))
    decoders = [DecoderProcess(limits=limits) for _ in range(processes)]
    idle: SimpleQueue[DecoderProcess] = SimpleQueue()
    for decoder in decoders:
        idle.put(decoder)
    threads = ThreadPoolExecutor(processes)
    try:
        futures = [threads.submit(_look, row, idle=idle) for row in rows]
        looks = [
            future.result() for future in track(futures, description="looking", console=console)
        ]
    finally:
        _end(threads, decoders)
    return Examined(
        readable=tuple(look for look in looks if isinstance(look, Readable)),
        faulty=tuple(
            (row, look) for row, look in zip(rows, looks, strict=True) if isinstance(look, Fault)
        ),
    )


def _end(threads: ThreadPoolExecutor, decoders: Sequence[DecoderProcess]) -> None:
    """End all threads, without waiting for what they are reading."""
    threads.shutdown(wait=False, cancel_futures=True)
    for decoder in decoders:
        decoder.close()
    threads.shutdown()


def _look(row: Row, *, idle: "SimpleQueue[DecoderProcess]") -> Readable | Fault:
    decoder = idle.get()
    try:
        size_bytes = row.path.stat().st_size
        if not size_bytes:
            return Fault(empty=True, reason="the file has no content")
        clips = decoder.read_clips(row.path, spec=_LOOK)
    except (VideoError, OSError) as error:
        return Fault(empty=isinstance(error, NoFrames), reason=str(error))
    finally:
        idle.put(decoder)
    grey = clips.frames[:, 0].mean(axis=-1)
    return Readable(
        row=row,
        size_bytes=size_bytes,
        info=clips.info,
        pictures=np.rint(grey).astype(np.uint8),
    )
