"""Several data sets as one unlabelled source: a job of the experiment.

    python -m motionfit.benchmarks.experiment.sources DATASET DATASET ... -o FILE.csv

The file names every video by its whole path and says nothing of classes.
"""

import csv
from pathlib import Path
from typing import Annotated

import typer

from motionfit.inference.console import run
from motionfit.training.unlabelled import read_unlabelled
from motionfit.training.whole_files import written_whole


def sources(
    datasets: Annotated[list[Path], typer.Argument(help="Folders of videos, or CSVs.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The CSV to write.")],
) -> None:
    """List the videos of all data sets, each once."""
    found = {
        str(row.path.resolve()): None
        for dataset in datasets
        for row in read_unlabelled(dataset, lists=None, where=())
    }
    with (
        written_whole(output) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["path"])
        writer.writerows([path] for path in found)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(sources)
    run(app, name="sources")
