"""Parts one after another, each in a fresh process; those that are there are not run again."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import fmean

from rich.console import Console

from motionfit.benchmarks.report.parts import PARTS, Part, missing
from motionfit.benchmarks.report.plan import Cell
from motionfit.benchmarks.result import ResultError, read_json
from motionfit.training.whole_files import written_whole

WORKER = "motionfit.benchmarks.report.worker"
SPENT = "seconds.json"
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


def run_parts(folder: Path, parts: tuple[Part, ...], *, console: Console) -> tuple[Failed, ...]:
    """Measure those that are missing. Progress, and the time left, go to ``console`` line by line.

    Stopped or killed, it goes on with the part it was at when it is called again. Raises
    ResultError when the files that all other parts read cannot be made.
    """
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    todo = missing(folder, parts)
    console.print(f"{len(parts) - len(todo)} of {len(parts)} parts were measured before")
    failed: list[Failed] = []
    spent = _read_spent(folder)
    for number, (cell, process) in enumerate(todo):
        left = _left(todo[number:], spent)
        console.print(f"{cell.name}, process {process + 1} of {cell.processes}{left}")
        begun = time.monotonic()
        if words := _run(folder, cell, process):
            if cell.kind == "files":
                raise ResultError(f"what is to be timed cannot be prepared: {words}")
            failed.append(Failed(name=f"{cell.name}.{process}", words=words))
            console.print(f"  failed: {words}", markup=False)
        spent[f"{cell.kind}/{cell.name}"] = time.monotonic() - begun
        with written_whole(folder / SPENT) as unfinished:
            unfinished.write_text(json.dumps(spent), encoding="utf-8")
    return tuple(failed)


def _read_spent(folder: Path) -> dict[str, float]:
    """KIND/CELL -> seconds of its last part."""
    path = folder / SPENT
    return read_json(path) if path.is_file() else {}


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


def _left(todo: Sequence[Part], spent: dict[str, float]) -> str:
    """The time that is left; of a cell not seen yet that of its kind, or else of all, is taken."""
    said = f", parts left: {len(todo)}"
    if not spent:
        return said
    seconds = sum(_expected(cell, spent) for cell, _ in todo)
    return f"{said}, about {ceil(seconds / MINUTE)} min"


def _expected(cell: Cell, spent: dict[str, float]) -> float:
    """Seconds of a part."""
    key, kind = f"{cell.kind}/{cell.name}", f"{cell.kind}/"
    alike = [seconds for name, seconds in spent.items() if name.startswith(kind)]
    return spent[key] if key in spent else fmean(alike or spent.values())
