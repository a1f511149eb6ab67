import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import pytest

from motionfit.benchmarks import processes

MEBIBYTE = 1024**2
# Grows when it is told to, on stdin; has a child that says that it is ready, and sleeps.
PARENT = """
import subprocess, sys
waits = "print('ready', flush=True); input()"
child = subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE)
for line in sys.stdin:
    kept = bytearray(int(line))
    kept[::4096] = b"x" * len(kept[::4096])
    print("grown", flush=True)
child.kill()
"""


@pytest.fixture
def parent() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


def test_memory_is_that_of_a_process_and_its_children(parent: "subprocess.Popen[str]") -> None:
    me, child = processes.family(parent.pid)
    assert me == parent.pid
    assert processes.family(child) == [child]
    before = processes.proportional_bytes(processes.family(me))
    assert before > processes.proportional_bytes([child]) > MEBIBYTE // 2
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(f"{64 * MEBIBYTE}\n")
    parent.stdin.flush()
    parent.stdout.readline()
    assert processes.proportional_bytes(processes.family(me)) - before == pytest.approx(
        64 * MEBIBYTE, rel=0.1
    )


def test_zombies_and_what_is_gone_are_told_apart() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 30
    # Tests that ran before in this process may have left zombies of their own.
    while process.pid not in processes.zombies(os.getpid()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.pid in processes.zombies(os.getpid())
    assert processes.proportional_bytes([process.pid]) == 0
    process.wait()
    assert process.pid not in processes.zombies(os.getpid())
    assert processes.family(process.pid) == [process.pid]
    assert processes.open_files(process.pid) == 0


def test_open_and_unnamed_files_are_counted() -> None:
    me = os.getpid()
    files, unnamed = processes.open_files(me), processes.unnamed_files(me)
    with tempfile.TemporaryFile():
        assert processes.open_files(me) == files + 1
        assert processes.unnamed_files(me) == unnamed + 1
    assert processes.unnamed_files(me) == unnamed
