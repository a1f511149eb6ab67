"""What a trained network says of labelled videos, one by one: a job of the experiment.

    python -m motionfit.benchmarks.experiment_watch RUN --labelled DATASET --where group=g08 -o FILE

A network of RGB looks at each video as serving would, and again at the video re-timed to another
frame rate. A network of flow sees the fixed clips of the flow folder.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from motionfit.benchmarks.experiment_answers import Answers, write_answers
from motionfit.inference.console import run, stderr
from motionfit.inference.errors import DatasetError
from motionfit.training.checkpoint import Checkpoint, load_checkpoint
from motionfit.training.evaluate import retime_targets
from motionfit.training.manifest import Row, matching, parse_filter, read_dataset
from motionfit.training.retime import stored_rate
from motionfit.training.two_stream import flow_scores
from motionfit.training.watching import Looks, check_labels, see

Scores = NDArray[np.float64]


def watch(
    network: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    labelled: Annotated[Path, typer.Option(help="The data set.")],
    where: Annotated[list[str], typer.Option(help="Only these videos: column=value[,value].")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
    flow: Annotated[
        Path | None, typer.Option(help="Folder of optical flow, for a network of flow.")
    ] = None,
) -> None:
    """Write the class scores of each video."""
    checkpoint = load_checkpoint(network)
    rows = matching(read_dataset(labelled).rows, map(parse_filter, where))
    check_labels(rows, labels=checkpoint.labels)
    seen = _see(checkpoint, rows) if flow is None else _see_flow(checkpoint, rows, folder=flow)
    write_answers(seen, output)


def _see(checkpoint: Checkpoint, rows: tuple[Row, ...]) -> Answers:
    seen, unreadable = see(
        checkpoint.model,
        retime_targets(rows, rate=None, console=stderr),
        spec=checkpoint.spec,
        labels=checkpoint.labels,
        looks=Looks(clip_counts=(checkpoint.spec.num_clips,), crops=1),
        console=stderr,
    )
    if unreadable:
        row, error = unreadable[0]
        raise DatasetError(f"every video must be read, and {row.name} cannot be: {error}")
    retimed = [one.retimed_scores for one in seen if one.retimed_scores is not None]
    if len(retimed) < len(seen):
        raise DatasetError("every video must be re-timed, so its file must state a frame rate")
    return Answers.of(
        [one.row for one in seen],
        labels=checkpoint.labels,
        frame_rates=[one.frame_rate or 0 for one in seen],
        scores=np.stack([one.scores[-1] for one in seen]),
        retimed=np.stack(retimed),
    )


def _see_flow(checkpoint: Checkpoint, rows: tuple[Row, ...], *, folder: Path) -> Answers:
    seen, scores = flow_scores(checkpoint, rows, folder=folder, console=stderr)
    if len(seen) < len(rows):
        raise DatasetError(f"{len(rows) - len(seen)} videos have no optical flow")
    return Answers.of(
        seen,
        labels=checkpoint.labels,
        frame_rates=[float(stored_rate(row.path) or 0) for row in seen],
        scores=scores,
        retimed=None,
    )


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(watch)
    run(app, name="experiment_watch")
