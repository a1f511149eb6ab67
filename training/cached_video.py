"""A decoded video as a small handle that any process can use.

Its frames are bytes at an offset of a file, mapped into memory. Those of a video that found no room
there are decoded anew each time they are asked for.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.decoding import VideoReader
from motionfit.inference.errors import DatasetError
from motionfit.inference.picture import Scaler
from motionfit.inference.sampling import EARLY_US, Times
from motionfit.inference.video import Frames, read_frames

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Where the frames of one video are kept."""

    file: Path
    offset: int
    """Bytes before the first frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CachedVideo:
    """All frames of one video, as ``motionfit.inference.video.read_frames`` reads them."""

    path: Path
    shape: tuple[int, ...]
    """(F, h, w, 3), the short side as asked for"""
    times_us: Times
    """(F,) int64, ascending from 0: when each frame comes on screen"""
    duration_us: int
    """When the last frame leaves the screen."""
    stored: Stored | None
    """None where the frames are decoded anew."""
    seekable: bool = False
    """Whether frames are known to be the same when only they are decoded: not in damaged files."""

    @classmethod
    def of(cls, path: Path, video: Frames, *, stored: Stored | None) -> Self:
        """The handle of a video that was just decoded."""
        return cls(
            path=path,
            shape=video.frames.shape,
            times_us=video.times_us,
            duration_us=video.duration_us,
            stored=stored,
            seekable=not video.info.notes,  # a note says what is odd about a file
        )

    @property
    def size_bytes(self) -> int:
        """What the frames take."""
        return math.prod(self.shape)

    @property
    def frames(self) -> Pictures:
        """(F, h, w, 3) uint8 RGB, not to be written to."""
        kept = self._kept()
        return self._decoded() if kept is None else kept

    def pictures(self, indices: NDArray[np.int64]) -> Pictures:
        """The frames (T, h, w, 3) uint8 at ``indices`` (T,), as an array of its own."""
        kept = self._kept()
        return self._decoded_at(indices) if kept is None else kept[indices]

    def _kept(self) -> Pictures | None:
        if self.stored is None:
            return None
        try:
            return np.memmap(self.stored.file, np.uint8, "r", self.stored.offset, self.shape)
        except FileNotFoundError:  # the folder was emptied, by hand or to make room
            return None

    def _decoded(self) -> Pictures:
        frames = read_frames(self.path, short_side=min(self.shape[1:3])).frames
        if frames.shape != self.shape:
            raise DatasetError(f"{self.path} has changed since training began: start again")
        return frames

    def _decoded_at(self, indices: NDArray[np.int64]) -> Pictures:
        """Decodes no more than is needed, where that gives the same."""
        found = self._sought(self.times_us[indices]) if self.seekable else None
        return np.asarray(self._decoded()[indices]) if found is None else found

    def _sought(self, times_us: Times) -> Pictures | None:
        with self.path.open("rb") as file, VideoReader(file) as reader:
            # The clock of the container may differ from that of the frames that were decoded.
            if not reader.index.trusted or reader.duration_us != self.duration_us:
                return None
            scaler = Scaler(
                short_side=min(self.shape[1:3]), crop=None, pixel_aspect=reader.pixel_aspect
            )
            found = reader.select(times_us - EARLY_US, scaler=scaler)
            # Another shape is that of a picture whose size changes midway.
            return np.stack(found) if found[0].shape == self.shape[1:] else None
