"""Where the parts of a report lie, and which are there."""

from pathlib import Path

from motionfit.benchmarks.report.plan import PREPARATION, Cell
from motionfit.benchmarks.result import Result, read_result

PARTS = "parts"
COMMAND = "motionfit-bench report"

Part = tuple[Cell, int]
"""A cell, and the number of its process."""


def part_file(folder: Path, cell: str, process: int) -> Path:
    """The file of a cell in one of its processes."""
    return folder / PARTS / f"{cell}.{process}.json"


def in_turns(cells: tuple[Cell, ...]) -> tuple[Part, ...]:
    """All parts in the order in which they are measured: what no clock decides, then the first
    process of every cell, then the second, so that what slows the machine for minutes meets all
    cells alike.
    """
    timed = [one for one in cells if one.kind not in PREPARATION]
    most = max((one.processes for one in timed), default=0)
    return (
        *((one, process) for one in cells if one not in timed for process in range(one.processes)),
        *((one, process) for process in range(most) for one in timed if process < one.processes),
    )


def missing(folder: Path, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Those that are not there yet."""
    return tuple(
        (cell, process)
        for cell, process in parts
        if not part_file(folder, cell.name, process).is_file()
    )


def read_parts(folder: Path, cells: tuple[Cell, ...]) -> tuple[Result, ...]:
    """The parts that are there, in that order. Raises ResultError when one is damaged."""
    paths = (part_file(folder, cell.name, process) for cell, process in in_turns(cells))
    return tuple(read_result(path) for path in paths if path.is_file())
