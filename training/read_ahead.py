"""Videos read in a few processes and handed out in order, only a few in memory at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import TypeVar

from motionfit.inference.errors import VideoError
from motionfit.training.manifest import Row
from motionfit.training.videos import reader_died, reading_processes
from motionfit.training.workers import WorkerContext

A = TypeVar("A")
T = TypeVar("T")


def read_ahead(
    requests: Iterable[tuple[Row, A]], read: Callable[[Path, A], T]
) -> Generator[tuple[Row, T | VideoError], None, None]:
    """What ``read`` (picklable) makes of each row's file and what goes with it, or why it cannot.

    Reads at most two videos a process ahead of the one taken. Raises DatasetError, naming the
    videos in question, when one of them kills its reader.
    """
    processes = reading_processes()
    pool = ProcessPoolExecutor(processes, WorkerContext())
    todo = iter(requests)
    pending: deque[tuple[Row, Future[T]]] = deque()
    try:
        while True:
            room = 2 * processes - len(pending)
            pending.extend((row, pool.submit(read, row.path, a)) for row, a in islice(todo, room))
            if not pending:
                return
            row, future = pending[0]
            outcome: T | VideoError = _result(future)
            pending.popleft()
            yield row, outcome
    except BrokenProcessPool as error:
        raise reader_died(pending, processes=processes) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _result(future: Future[T]) -> T | VideoError:
    try:
        return future.result()
    except VideoError as error:
        return error
