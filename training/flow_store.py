"""The flow of a data set in a folder, where all runs find it: computed once, by any process.

One file for each video, named by a hash of all that decides its content: the video's path, size
and time of change, the FlowSpec, and what decodes and computes. So flow of several specs and data
sets may share a folder, and a file never needs to be replaced.
"""

import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import cv2
from rich.console import Console

from motionfit.inference.video import read_frames
from motionfit.training.flow_fields import flow_fields
from motionfit.training.flow_methods import flow_function
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_video import FlowVideo, quantised, write_flow
from motionfit.training.frame_folder import CacheError, decoder_version
from motionfit.training.manifest import Row
from motionfit.training.videos import Unreadable, read_each, report_unreadable

_DECIDING = (
    "inference.sampling",
    "training.distinct",
    "training.flow_fields",
    "training.flow_methods",
    "training.flow_pairs",
    "training.flow_raft",
    "training.flow_spec",
    "training.flow_video",
    "training.grid",
)
"""The modules that, with the decoder and the libraries, decide what flow is stored."""
_ENTRY = ".flow"
_ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class FlowSet:
    """The flow of a data set."""

    videos: tuple[tuple[Row, FlowVideo], ...]
    """Those that can be read, in the order of the rows."""
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, kw_only=True)
class FlowStore:
    """Flow of one spec in a folder. Picklable."""

    folder: Path
    spec: FlowSpec
    computed_by: str

    def find(self, path: Path) -> FlowVideo | None:
        """The flow of the video at ``path`` if it is there and whole."""
        return FlowVideo.open(self._entry(path))

    def compute(self, path: Path) -> FlowVideo:
        """The flow of a video, computed unless somebody else has done it meanwhile.

        Raises a VideoError when the video is at fault, CacheError when the folder is.
        """
        entry = self._entry(path)  # before decoding: a file may be replaced meanwhile
        found = FlowVideo.open(entry)
        if found is not None:
            return found
        made = flow_fields(read_frames(path, short_side=self.spec.compute_side), spec=self.spec)
        try:
            write_flow(
                entry,
                quantised(made.fields, bound_px=self.spec.bound_px),
                places=made.places,
                starts_us=made.starts_us,
            )
        except OSError as error:
            raise _not_kept(self.folder, error) from error
        written = FlowVideo.open(entry)
        assert written is not None
        return written

    def tidy(self) -> None:
        """Remove what killed processes left half-written."""
        for part in self.folder.glob(f".*{_ENTRY}.*"):
            with contextlib.suppress(FileNotFoundError):
                if part.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                    part.unlink()

    def _entry(self, path: Path) -> Path:
        status = path.stat()
        decided_by = (
            self.computed_by,
            self.spec.to_json(),
            str(path.resolve()),
            status.st_size,
            status.st_mtime_ns,
        )
        name = hashlib.sha256(json.dumps(decided_by, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{name}{_ENTRY}"


def open_flow(rows: Sequence[Row], *, folder: Path, spec: FlowSpec, console: Console) -> FlowSet:
    """The flow of the videos of ``rows``; what is missing is computed, by several processes.

    Stopped or killed, it goes on where it was when it is called again; several processes may fill
    a folder at the same time and share the work. Videos that cannot be read are named and left
    out. Raises DatasetError when a class loses its last video by that, CacheError when the folder
    cannot be written to, MissingExtra or CheckpointError when the method lacks what it needs.
    """
    store = open_store(folder, spec=spec)
    store.tidy()
    found = {row.name: flow for row in rows if (flow := store.find(row.path)) is not None}
    missing = [row for row in rows if row.name not in found]
    # Elsewhere than others who may be filling the folder too.
    start = secrets.randbelow(len(missing) + 1)
    missing = missing[start:] + missing[:start]
    if missing:
        flow_function(spec.method)
    computed, unreadable = read_each(missing, store.compute, what="computing flow", console=console)
    report_unreadable(unreadable, rows=rows, console=console)
    flows = {**found, **{row.name: flow for row, flow in computed}}
    return FlowSet(
        videos=tuple((row, flows[row.name]) for row in rows if row.name in flows),
        unreadable=unreadable,
    )


def open_store(folder: Path, *, spec: FlowSpec) -> FlowStore:
    """The store in a folder, which is made if it is not there. Raises CacheError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_kept(folder, error) from error
    return FlowStore(folder=folder.resolve(), spec=spec, computed_by=_version(spec))


def _version(spec: FlowSpec) -> str:
    """Changes with whatever changes the flow of a video."""
    libraries = [cv2.__version__]
    if spec.method == "raft":
        libraries += [version("torch"), version("torchvision")]
    digest = hashlib.sha256(json.dumps([decoder_version(), *libraries]).encode())
    for name in _DECIDING:
        found = find_spec(f"motionfit.{name}")
        assert found is not None
        assert found.origin is not None
        digest.update(Path(found.origin).read_bytes())
    return digest.hexdigest()


def _not_kept(folder: Path, error: OSError) -> CacheError:
    return CacheError(f"flow cannot be kept in {folder}: {error.strerror}; give another folder")
