"""Parts one after another, each in a fresh process; those that are there are not run again."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from motionfit.benchmarks.report.parts import PARTS, in_turns, part_file
from motionfit.benchmarks.report.plan import Cell

WORKER = "motionfit.benchmarks.report.worker"
LAST_WORDS = 400
STOP_SECONDS = 20.0
MINUTE = 60.0

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A part that could not be measured."""

    name: str
    words: str
    """The end of what it printed."""


def run_parts(folder: Path, cells: tuple[Cell, ...], *, console: Console) -> tuple[Failed, ...]:
    """Measure what is missing. Progress, and the time left, go to ``console`` line by line.

    Stopped or killed, it goes on with the part it was at when it is called again.
    """
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    todo = in_turns(cells)
    missing = [(c, p) for c, p in todo if not part_file(folder, c.name, p).is_file()]
    console.print(f"{len(todo) - len(missing)} of {len(todo)} parts were measured before")
    failed: list[Failed] = []
    spent: dict[str, float] = {}
    for number, (cell, process) in enumerate(missing):
        left = _left(missing[number:], spent)
        console.print(f"{cell.name}, process {process + 1} of {cell.processes}{left}")
        begun = time.monotonic()
        if words := _run(folder, cell, process):
            failed.append(Failed(name=f"{cell.name}.{process}", words=words))
            console.print(f"  failed: {words}", markup=False)
        spent[cell.name] = time.monotonic() - begun
    return tuple(failed)


def _run(folder: Path, cell: Cell, process: int) -> str | None:
    """Measure a part; what it printed at its end when it failed."""
    command = [sys.executable, "-m", WORKER, str(folder), cell.name, str(process)]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_tied(os.getpid()),
    )
    try:
        printed, _ = child.communicate()
    finally:
        if child.poll() is None:  # somebody wants us to stop
            child.terminate()
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    return printed[-LAST_WORDS:].strip() or "no words" if child.returncode else None


def _tied(parent: int) -> Callable[[], None]:
    """What a child does first: it ends when the report is killed, and measures no further."""
    libc = ctypes.CDLL(None)

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return tie


def _left(todo: list[tuple[Cell, int]], spent: dict[str, float]) -> str:
    """The time that is left, as far as every cell has been seen once."""
    if any(cell.name not in spent for cell, _ in todo):
        return f", {len(todo)} parts left"
    seconds = sum(spent[cell.name] for cell, _ in todo)
    return f", {len(todo)} parts left, about {seconds / MINUTE:.0f} minutes"
