import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from motionfit.benchmarks.paused import release, running


def start() -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    process.start()
    return process


@pytest.fixture
def ended() -> Iterator[list[BaseProcess]]:
    processes: list[BaseProcess] = []
    yield processes
    for process in processes:
        process.kill()
        process.join()


def stands_still(process: BaseProcess) -> bool:
    """Whether it is stopped; a signal may take a moment to work."""
    for _ in range(100):
        if Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return True
        time.sleep(0.01)
    return False


def test_processes_run_only_in_their_own_turn(ended: list[BaseProcess]) -> None:
    first: set[int] = set()
    second: set[int] = set()
    with running(first):
        ended.append(start())
        assert not first
    with running(second):
        ended.append(start())
        assert stands_still(ended[0])
    assert (first, second) == ({ended[0].pid}, {ended[1].pid})
    assert stands_still(ended[1])
    with running(first):
        assert stands_still(ended[1])
        os.kill(ended[0].pid or 0, 0)
        ended[0].terminate()
        ended[0].join(10)
        assert ended[0].exitcode is not None
    assert not first


def test_an_error_in_a_turn_stops_the_processes_too(ended: list[BaseProcess]) -> None:
    own: set[int] = set()

    def interrupted() -> None:
        with running(own):
            ended.append(start())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stands_still(ended[0])


def test_released_processes_can_be_told_to_end(ended: list[BaseProcess]) -> None:
    own: set[int] = set()
    with running(own):
        ended.append(start())
    assert stands_still(ended[0])
    ended[0].terminate()
    assert stands_still(ended[0])
    release(own)
    ended[0].join(10)
    assert ended[0].exitcode is not None
    release({ended[0].pid or 0})
