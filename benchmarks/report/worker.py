"""One part of a report, measured in a fresh process: a file of the report's folder.

python -m motionfit.benchmarks.report.worker FOLDER CELL PROCESS
"""

from pathlib import Path
from typing import Annotated

import typer

from motionfit.benchmarks.report.begun import read_begun
from motionfit.benchmarks.report.parts import COMMAND, part_file
from motionfit.benchmarks.report.plan import Cell, cells
from motionfit.benchmarks.report.work import Work, seed_of
from motionfit.benchmarks.result import Result, ResultError, write_result
from motionfit.benchmarks.session import Session
from motionfit.inference.console import run


def measure_part(
    folder: Annotated[Path, typer.Argument(help="Of the report, with its begun.json.")],
    name: Annotated[str, typer.Argument(metavar="CELL")],
    process: Annotated[int, typer.Argument(min=0)],
) -> None:
    """Measure one cell once and write its file."""
    begun = read_begun(folder)
    if begun is None:
        raise ResultError(f"{folder} is no folder of a report")
    options = begun.options
    work = Work(
        cell=_cell(name, cells(options)),
        options=options,
        folder=folder,
        process=process,
        session=Session.start(command=COMMAND, seed=seed_of(options, process=process)),
    )
    write_result(_measured(work), part_file(folder, name, process))


def _cell(name: str, known: tuple[Cell, ...]) -> Cell:
    for one in known:
        if one.name == name:
            return one
    raise ResultError(f"there is no cell {name}; there are {', '.join(c.name for c in known)}")


def _measured(work: Work) -> Result:
    # Imported here: a part loads no more than it measures with.
    match work.cell.kind:
        case "systems":
            from motionfit.benchmarks.report.systems_cell import systems_part

            return systems_part(work)
        case "cold":
            from motionfit.benchmarks.report.cold import cold_part

            return cold_part(work)
        case "files":
            from motionfit.benchmarks.report.files import files_part

            return files_part(work)
        case "limit":
            from motionfit.benchmarks.report.limit import limit_part

            return limit_part(work)
        case "accuracy":
            from motionfit.benchmarks.report.accuracy import accuracy_part

            return accuracy_part(work)
        case "scaling":
            from motionfit.benchmarks.report.scaling import scaling_part

            return scaling_part(work)
        case "offline" | "server":
            from motionfit.benchmarks.report.scenarios import scenario_part

            return scenario_part(work)
        case "decoders":
            from motionfit.benchmarks.report.decoders import decoders_part

            return decoders_part(work)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(measure_part)
    run(app, name="report_worker")
