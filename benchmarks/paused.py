"""Child processes that stand still while it is not their turn.

Data loaders work ahead in processes of their own. Where several loops take turns on one machine,
the loaders of those that wait would take time from the one that runs, and get theirs for nothing.
Stopped by a signal and later continued, a loop goes on as if no time had passed.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children


@contextmanager
def running(own: set[int]) -> Iterator[None]:
    """Let the stopped processes ``own`` run in this block, and stop them at its end.

    Children of this process that are started inside the block join ``own``; those that ended
    leave it.
    """
    others = _children() - own
    _signal(own, signal.SIGCONT)
    try:
        yield
    finally:
        own.clear()
        own.update(_children() - others)
        _signal(own, signal.SIGSTOP)
        _wait_until_they_stand(own)


def release(own: set[int]) -> None:
    """Let the processes run for good, so that they can be told to end."""
    _signal(own, signal.SIGCONT)
    own.clear()


def _children() -> set[int]:
    return {process.pid for process in active_children() if process.pid is not None}


def _wait_until_they_stand(stopped: set[int]) -> None:
    """A stopped process may run on for a moment. One that ended instead stands too."""
    for pid in stopped:
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def _signal(processes: set[int], number: signal.Signals) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
