"""Child processes that leave signals to their parent and end with it.

Ctrl-C, ``timeout`` and service managers signal a whole group of processes. What a run does about it
(save, then end) is its main process's business, which would be disturbed by the death of its
children: they pass over SIGINT and SIGTERM, unless SIGTERM comes from the parent itself.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.resource_tracker import ensure_running

_SHARED_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_LOOK_SECONDS = 1.0


class WorkerProcess(SpawnProcess):
    """A process started afresh, because a fork of a process with threads may hang."""

    def start(self) -> None:
        """Start the process. Signals that arrive meanwhile are held back, not lost."""
        ensure_running()  # of the resource tracker, whose start lets the signals through
        with _held_back():
            super().start()

    def run(self) -> None:
        """What the process does; started by ``start``."""
        parent = parent_process()
        assert parent is not None
        threading.Thread(target=_end_with, args=(parent.pid,), daemon=True).start()
        super().run()


class WorkerContext(SpawnContext):
    """Makes WorkerProcesses, for a process pool or a torch DataLoader."""

    Process = WorkerProcess


@contextmanager
def _held_back() -> Iterator[None]:
    # A new process inherits the mask and keeps it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SHARED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(parent: int | None) -> None:
    while True:
        received = signal.sigtimedwait({signal.SIGTERM}, _LOOK_SECONDS)
        if os.getppid() != parent or (received and received.si_pid == parent):
            os._exit(0)
