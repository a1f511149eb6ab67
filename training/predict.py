"""A frozen teacher looks at every grid clip of every unlabelled video.

The videos are divided into fixed parts in the order of their names. A part is made by one process,
with one thread of the CPU, so what is in it does not depend on how many processes there are.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.sampling import Times, clip_length_us, frames_on_screen, sample_times
from motionfit.training.cached_video import CachedVideo
from motionfit.training.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from motionfit.training.grid import grid_starts
from motionfit.training.model import network_input
from motionfit.training.predictions import (
    About,
    Predictions,
    missing_parts,
    part_file,
    write_part,
)
from motionfit.training.videos import Unreadable, reading_processes
from motionfit.training.views import central
from motionfit.training.workers import WorkerContext

PART_VIDEOS = 32
"""Videos of a part: few enough that a killed command loses seconds."""


class GridVideo(Protocol):
    """The grid clips of a video, of flow (``FlowVideo``) or RGB. Picklable."""

    @property
    def starts_us(self) -> Times:
        """(G,) int64, ascending: when each clip starts."""

    def clip(self, index: int) -> NDArray[Any]:
        """One clip (T, h, w, channels), not cropped."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RgbGrid:
    """The RGB clips at the times of the grid: a GridVideo."""

    video: CachedVideo
    spec: ClipSpec
    starts_us: Times
    """(G,) int64 microseconds"""

    def clip(self, index: int) -> NDArray[np.uint8]:
        """One clip (T, h, w, 3) uint8, the frames on screen at its moments."""
        times = sample_times(int(self.starts_us[index]), spec=self.spec)
        return self.video.pictures(frames_on_screen(times, frame_times_us=self.video.times_us))


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What one process does at a time. Picklable."""

    teacher: Path
    """The checkpoint file"""
    about: About
    videos: tuple[tuple[str, GridVideo], ...]
    unreadable: tuple[Unreadable, ...]
    file: Path
    """Where the predictions go"""
    batch_size: int
    device: str

    @property
    def size(self) -> int:
        """The number of its videos, with those that cannot be read."""
        return len(self.videos) + len(self.unreadable)


def rgb_grid(video: CachedVideo, *, spec: ClipSpec, clips: int) -> RgbGrid:
    """The RGB clips of a video at the times of its grid."""
    starts_us = grid_starts(video.duration_us, spec=spec, clips=clips)
    return RgbGrid(video=video, spec=spec, starts_us=starts_us)


def part_count(videos: int) -> int:
    """Into how many parts so many videos are divided."""
    return -(-videos // PART_VIDEOS)


def predict(
    videos: Sequence[tuple[str, GridVideo]],
    *,
    unreadable: Sequence[Unreadable],
    teacher: Path,
    about: About,
    folder: Path,
    batch_size: int,
    processes: int | None,
    console: Console,
) -> None:
    """Write the parts that ``folder`` lacks: predictions on ``videos``, names and clips. Those that
    are ``unreadable`` have their place in the parts too.

    ``processes`` None: one, or on a CPU one for each core. Raises DatasetError when the folder
    holds other predictions, CheckpointError when the teacher answers with no finite numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    ordered = sorted(videos, key=lambda one: one[0])
    names = sorted([*(name for name, _ in videos), *(one.name for one in unreadable)])
    chunks = [set(names[start:][:PART_VIDEOS]) for start in range(0, len(names), PART_VIDEOS)]
    parts = [
        Part(
            teacher=teacher,
            about=about,
            videos=tuple(one for one in ordered if one[0] in chunks[number]),
            unreadable=tuple(one for one in unreadable if one.name in chunks[number]),
            file=part_file(folder, number),
            batch_size=batch_size,
            device=str(device),
        )
        for number in missing_parts(folder, about)
    ]
    wanted = processes or (reading_processes() if device.type == "cpu" else 1)
    with Progress(console=console) as progress:
        todo = sum(part.size for part in parts)
        bar = progress.add_task(
            "the teacher watches", total=len(names), completed=len(names) - todo
        )
        for done in _made(parts, processes=min(wanted, len(parts))):
            progress.advance(bar, done)


def make_part(part: Part) -> int:
    """Write the file of a part; the number of its videos."""
    checkpoint = load_checkpoint(part.teacher)
    checkpoint.model.to(part.device)
    with _repeatable():
        made = _predictions(checkpoint, part)
    if not np.isfinite(made.logits).all() or not np.isfinite(made.embeddings).all():
        raise CheckpointError("the teacher answers with no finite numbers: its training failed")
    write_part(part.file, made)
    return part.size


def _made(parts: Sequence[Part], *, processes: int) -> Iterator[int]:
    """Makes the parts; for each that is done, the number of its videos."""
    if processes <= 1:
        yield from map(make_part, parts)
        return
    pool = ProcessPoolExecutor(processes, WorkerContext())
    try:
        for future in as_completed([pool.submit(make_part, part) for part in parts]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DatasetError(
            "a process in which the teacher watched videos died, perhaps for want of memory; run "
            "the same command again, with fewer --processes or a smaller --batch-size"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _repeatable() -> Iterator[None]:
    """Arithmetic that does not depend on the cores of the machine. What else shares a batch changes
    the last digits of logits, by less than 1e-4.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        torch.set_num_threads(threads)


def _predictions(checkpoint: Checkpoint, part: Part) -> Predictions:
    spec = checkpoint.spec
    places = [
        (name, video, int(index))
        for name, video in part.videos
        # All clips of a video that is shorter than a clip are the same one.
        for index in np.unique(video.starts_us, return_index=True)[1]
    ]
    starts_us = np.array([video.starts_us[index] for _, video, index in places], np.int64)
    logits = [np.empty((0, len(checkpoint.labels)), np.float32)]
    embeddings = [np.empty((0, part.about.dimensions), np.float32)]
    clips = (central(video.clip(index), crop=spec.crop) for _, video, index in places)
    while batch := list(islice(clips, part.batch_size)):
        frames = torch.from_numpy(np.stack(batch)).to(part.device)
        answers, features = checkpoint.model(network_input(frames, spec=spec))
        logits.append(answers.float().cpu().numpy())
        embeddings.append(features.float().cpu().numpy())
    return Predictions(
        videos=tuple(name for name, _, _ in places),
        starts_us=starts_us,
        ends_us=starts_us + clip_length_us(spec),
        logits=np.concatenate(logits),
        embeddings=np.concatenate(embeddings),
        unreadable=part.unreadable,
        about=part.about,
    )
