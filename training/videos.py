"""Reading a data set once: every video by one function, in a few processes, with a progress bar."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from motionfit.inference.errors import DatasetError, VideoError
from motionfit.training.manifest import Row, labels_of
from motionfit.training.workers import WorkerContext

MOST_PROCESSES = 8

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A video that was left out, and why."""

    name: str
    reason: str


def read_all(
    rows: Sequence[Row], read: Callable[[Path], T], *, what: str, console: Console
) -> tuple[tuple[tuple[Row, T], ...], tuple[Unreadable, ...]]:
    """What ``read`` (picklable) makes of each row's file, in order; and the unreadable videos.

    Those are named on ``console`` and left out. Raises DatasetError when a class loses its last
    video by that (training would go on without it unnoticed) or when a video kills the reader.
    """
    kept, unreadable = read_each(rows, read, what=what, console=console)
    report_unreadable(unreadable, rows=rows, console=console)
    return kept, unreadable


def read_each(
    rows: Sequence[Row], read: Callable[[Path], T], *, what: str, console: Console
) -> tuple[tuple[tuple[Row, T], ...], tuple[Unreadable, ...]]:
    """As ``read_all``, but says nothing of the unreadable videos."""
    if not rows:
        return (), ()
    kept: list[tuple[Row, T]] = []
    unreadable: list[Unreadable] = []
    processes = min(reading_processes(), len(rows))
    pool = ProcessPoolExecutor(processes, WorkerContext())
    try:
        futures = [(row, pool.submit(read, row.path)) for row in rows]
        for row, future in track(futures, description=what, console=console):
            try:
                kept.append((row, future.result()))
            except VideoError as error:
                unreadable.append(Unreadable(name=row.name, reason=str(error)))
    except BrokenProcessPool as error:
        raise reader_died(futures, processes=processes) from error
    finally:
        pool.shutdown(cancel_futures=True)
    return tuple(kept), tuple(unreadable)


def report_unreadable(
    unreadable: Sequence[Unreadable], *, rows: Sequence[Row], console: Console
) -> None:
    """Name the unreadable ones of ``rows``. Raises DatasetError when a class has no others."""
    for one in unreadable:
        console.print(f"left out: {one.name}: {one.reason}", markup=False, style="yellow")
    if unreadable:
        console.print(f"{len(unreadable)} of {len(rows)} videos could not be read")
    names = {one.name for one in unreadable}
    left = labels_of(row for row in rows if row.name not in names)
    if lost := sorted(set(labels_of(rows)) - set(left)):
        raise DatasetError(f"no video of {', '.join(lost)} can be read")


def reading_processes() -> int:
    """How many processes read videos: one on each processor that this one may use, at most 8."""
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


def reader_died(futures: Iterable[tuple[Row, Future[Any]]], *, processes: int) -> DatasetError:
    """The error that names the videos which may have killed one of ``processes`` readers."""
    unread = [
        row.name for row, future in futures if isinstance(future.exception(), BrokenProcessPool)
    ]
    return DatasetError(
        "a process that was reading videos died: memory ran out, or FFmpeg crashed on one of "
        + ", ".join(unread[:processes])  # they are taken in order
    )
