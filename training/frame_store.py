"""Where decoded frames are kept: in memory, or in a folder where later runs find them."""

import contextlib
import fcntl
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from uuid import uuid4

import av
import numpy as np
from numpy.typing import NDArray

from motionfit.inference.errors import MotionfitError
from motionfit.inference.video import Frames, read_frames
from motionfit.training.cached_video import CachedVideo, Stored

_DECODING = ("container", "decoding", "picture", "video")
"""The modules that, with PyAV, decide what frames look like and when they are on screen."""
_ENTRY, _PART = ".frames", ".part"
_ABANDONED_SECONDS = 3600.0


class CacheError(MotionfitError):
    """Decoded videos cannot be kept in the folder they should be kept in."""

    code = "cache-failed"


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
            return _cached(path, video, stored=None)
        with room.file.open("r+b") as file:
            file.seek(offset)
            file.write(video.frames.data)
        return _cached(path, video, stored=Stored(file=room.file, offset=offset))

    def free_bytes(self) -> int:
        """What the machine, and the control group of this process, have left."""
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        available = int(kilobytes) * 1024
        group = Path("/proc/self/cgroup").read_text().rpartition("0::/")[2].strip()
        folder = Path("/sys/fs/cgroup") / group
        with contextlib.suppress(FileNotFoundError, ValueError):  # no limit there, or "max"
            limit = int((folder / "memory.max").read_text())
            available = min(available, limit - int((folder / "memory.current").read_text()))
        return max(0, available)

    def trim(self, used: Set[Path], *, limit_bytes: int) -> None:
        """Nothing: memory holds only what is in use."""


@dataclass(frozen=True, kw_only=True)
class FolderStore:
    """Frames in a folder, one file for each video, which appears complete or not at all.

    The name is a hash of all that decides the content: the video's path, size and time of change,
    the short side, and what decodes. The file holds two NumPy arrays, one behind the other: when
    each frame comes on screen and the last leaves it, (F + 1,) int64 microseconds; and the frames.
    """

    folder: Path
    short_side: int
    decoder: str

    def find(self, path: Path) -> CachedVideo | None:
        """What an earlier run kept of a video; None if it kept nothing that is whole."""
        entry = self._entry(path)
        try:
            with entry.open("rb") as file:
                bounds = np.load(file)
                np.lib.format.read_magic(file)
                shape, _, _ = np.lib.format.read_array_header_1_0(file)
                offset = file.tell()
                if os.fstat(file.fileno()).st_size != offset + math.prod(shape):
                    return None
        except (FileNotFoundError, ValueError, EOFError):
            return None
        with contextlib.suppress(OSError):  # somebody else's folder, or just removed
            os.utime(entry)
        return CachedVideo(
            path=path,
            shape=shape,
            times_us=bounds[:-1],
            duration_us=int(bounds[-1]),
            stored=Stored(file=entry, offset=offset),
        )

    def read(self, path: Path, *, room: Room) -> CachedVideo:
        """As ``Store.read``. Runs that fill a folder at the same time share the work."""
        found = self.find(path)
        if found is not None:
            return if_there_is_room(found, room)
        entry = self._entry(path)  # before decoding: a file may be replaced meanwhile
        video = read_frames(path, short_side=self.short_side)
        if room.take(video.frames.nbytes) is None:
            return _cached(path, video, stored=None)
        try:
            offset = _write(entry, video)
        except OSError as error:
            raise _not_kept(self.folder, error) from error
        return _cached(path, video, stored=Stored(file=entry, offset=offset))

    def free_bytes(self) -> int:
        """What may be written to the disk."""
        return shutil.disk_usage(self.folder).free

    def trim(self, used: Set[Path], *, limit_bytes: int) -> None:
        """Remove what killed processes left half-written, and of the entries that are not in use
        those not used for longest, until the folder keeps to its limit.
        """
        for part, status in self._files(_PART).items():
            if status.st_mtime < time.time() - _ABANDONED_SECONDS:
                part.unlink(missing_ok=True)
        entries = self._files(_ENTRY)
        total = sum(status.st_size for status in entries.values())
        for entry in sorted(entries.keys() - used, key=lambda one: entries[one].st_mtime_ns):
            if total <= limit_bytes:
                return
            entry.unlink(missing_ok=True)
            total -= entries[entry].st_size

    def _files(self, suffix: str) -> dict[Path, os.stat_result]:
        found = {}
        for path in self.folder.glob(f"*{suffix}"):
            with contextlib.suppress(FileNotFoundError):  # other runs rename and remove files
                found[path] = path.stat()
        return found

    def _entry(self, path: Path) -> Path:
        status = path.stat()
        decided_by = (
            self.decoder,
            self.short_side,
            str(path.resolve()),
            status.st_size,
            status.st_mtime_ns,
        )
        name = hashlib.sha256(json.dumps(decided_by).encode()).hexdigest()
        return self.folder / f"{name}{_ENTRY}"


def open_folder(folder: Path, *, short_side: int) -> FolderStore:
    """The store in a folder, which is made if it is not there. Raises CacheError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_kept(folder, error) from error
    return FolderStore(folder=folder, short_side=short_side, decoder=decoder_version())


def if_there_is_room(video: CachedVideo, room: Room) -> CachedVideo:
    """The video without its kept frames if they exceed what may be kept."""
    return video if room.take(video.size_bytes) is not None else replace(video, stored=None)


def decoder_version() -> str:
    """Changes with whatever changes the frames that a video is decoded to."""
    digest = hashlib.sha256(json.dumps([av.__version__, av.library_versions]).encode())
    for name in _DECODING:
        spec = find_spec(f"motionfit.inference.{name}")
        assert spec is not None
        assert spec.origin is not None
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()


def _write(entry: Path, video: Frames) -> int:
    """The offset of the frames in the new entry."""
    part = entry.with_suffix(f".{uuid4().hex}{_PART}")
    try:
        with part.open("xb") as file:
            _append(file, np.append(video.times_us, video.duration_us))
            _append(file, video.frames)
            offset = file.tell() - video.frames.nbytes
            file.flush()
            os.fsync(file.fileno())
        part.replace(entry)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return offset


def _append(file: BinaryIO, array: NDArray[Any]) -> None:
    # As np.save, which cuts the array short without a word when the disk is full.
    described = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, described)
    file.write(array.data)


def _not_kept(folder: Path, error: OSError) -> CacheError:
    return CacheError(
        f"decoded videos cannot be kept in {folder}: {error.strerror}; give another "
        "folder, or none to keep them in memory"
    )


def _cached(path: Path, video: Frames, *, stored: Stored | None) -> CachedVideo:
    return CachedVideo(
        path=path,
        shape=video.frames.shape,
        times_us=video.times_us,
        duration_us=video.duration_us,
        stored=stored,
        seekable=not video.info.notes,  # a note says what is odd about a file
    )
