"""Where decoded frames are kept, and how much room there is for them; here: memory."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from motionfit.inference.video import read_frames
from motionfit.training.cached_video import CachedVideo, Stored


@dataclass(frozen=True, kw_only=True)
class Room:
    """A number of bytes that processes share, in a file without a name.

    The file is as long as what is taken, takes up memory only where something is written to it, and
    is gone when the process that made it is, however that ends. Others open it through that one.
    """

    file: Path
    limit_bytes: int

    def take(self, count: int) -> int | None:
        """The offset from which ``count`` bytes are the caller's, None if so many are not left."""
        with self.file.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            taken = os.fstat(file.fileno()).st_size
            if taken + count > self.limit_bytes:
                return None
            file.truncate(taken + count)
            return taken


@contextlib.contextmanager
def open_room(limit_bytes: int) -> Iterator[Room]:
    """A new Room."""
    descriptor = os.memfd_create("motionfit-frames")
    try:
        yield Room(file=Path(f"/proc/{os.getpid()}/fd/{descriptor}"), limit_bytes=limit_bytes)
    finally:
        os.close(descriptor)


class Store(Protocol):
    """Reads videos and keeps their frames. Picklable."""

    def find(self, path: Path) -> CachedVideo | None:
        """What is kept of a video already."""

    def read(self, path: Path, *, room: Room) -> CachedVideo:
        """Decode a video, and keep its frames if there is room.

        Raises a VideoError when the video is at fault, CacheError when the store is.
        """

    def free_bytes(self) -> int:
        """What the machine has left for frames."""

    def trim(self, used: Set[Path], *, limit_bytes: int) -> None:
        """Remove what nobody needs, so that the store keeps to its limit."""


@dataclass(frozen=True, kw_only=True)
class MemoryStore:
    """Frames in the memory that all processes of a run share: in the file of the Room itself."""

    short_side: int

    def find(self, path: Path) -> CachedVideo | None:
        """Nothing: memory starts empty."""

    def read(self, path: Path, *, room: Room) -> CachedVideo:
        """As ``Store.read``."""
        video = read_frames(path, short_side=self.short_side)
        offset = room.take(video.frames.nbytes)
        if offset is None:
            return CachedVideo.of(path, video, stored=None)
        with room.file.open("r+b") as file:
            file.seek(offset)
            file.write(video.frames.data)
        return CachedVideo.of(path, video, stored=Stored(file=room.file, offset=offset))

    def free_bytes(self) -> int:
        """What the machine, and the control group of this process, have left."""
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        available = int(kilobytes) * 1024
        with contextlib.suppress(OSError, ValueError):  # no group, or no limit: "max"
            group = Path("/proc/self/cgroup").read_text().rpartition("0::/")[2].strip()
            folder = Path("/sys/fs/cgroup") / group
            limit = int((folder / "memory.max").read_text())
            available = min(available, limit - int((folder / "memory.current").read_text()))
        return max(0, available)

    def trim(self, used: Set[Path], *, limit_bytes: int) -> None:
        """Nothing: memory holds only what is in use."""


def if_there_is_room(video: CachedVideo, room: Room) -> CachedVideo:
    """The video without its kept frames if they exceed what may be kept."""
    return video if room.take(video.size_bytes) is not None else replace(video, stored=None)
