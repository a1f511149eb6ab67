"""Decoded frames in a folder, where later runs and other runs find them."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Set
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import av
import numpy as np
from numpy.typing import NDArray

from motionfit.inference.errors import MotionfitError
from motionfit.inference.video import Frames, read_frames
from motionfit.training.cached_video import CachedVideo, Stored
from motionfit.training.frame_store import Room, if_there_is_room

_DECODING = ("codecs", "container", "decoding", "picture", "sampling", "video")
"""The modules that, with PyAV, decide what frames look like and when they are on screen."""
_ENTRY, _PART = ".frames", ".part"
_ABANDONED_SECONDS = 3600.0


class CacheError(MotionfitError):
    """Decoded videos cannot be kept in the folder they should be kept in."""

    code = "cache-failed"


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
            return CachedVideo.of(path, video, stored=None)
        try:
            offset = _write(entry, video)
        except OSError as error:
            raise _not_kept(self.folder, error) from error
        return CachedVideo.of(path, video, stored=Stored(file=entry, offset=offset))

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
