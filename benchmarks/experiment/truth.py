"""True labels in the place of pseudo-labels, for the upper bound: a job of the experiment.

    python -m motionfit.benchmarks.experiment.truth LABELS.parquet --labelled DATASET -o FILE

The same pieces of the same videos, so that the student differs in its labels alone.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from motionfit.inference.console import run
from motionfit.training.manifest import read_dataset
from motionfit.training.pseudo_labels import read_labels, write_labels


def truth(
    labels: Annotated[Path, typer.Argument(help="Pseudo-labels.")],
    labelled: Annotated[Path, typer.Option(help="The data set that knows the true ones.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
) -> None:
    """Write the same file with the true class of each piece."""
    said = read_labels(labels)
    true = {row.name: row.label for row in read_dataset(labelled).rows}
    places = [said.labels.index(true[video]) for video in said.videos]
    count = len(places)
    known = replace(
        said,
        targets=np.eye(len(said.labels), dtype=np.float32)[places],
        confidence=np.ones(count, np.float32),
        entropy=np.zeros(count, np.float32),
        record={**said.record, "kind": "true"},
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    write_labels(output, known)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(truth)
    run(app, name="truth")
