"""What a trained network says of labelled videos, one by one: a job of the experiment.

    python -m motionfit.benchmarks.experiment.watch RUN --labelled DATASET --where group=g08 -o FILE

A network of RGB looks at each video as serving would, and again at the video re-timed to another
frame rate. A network of flow sees the fixed clips of the flow folder, and those of the re-timed
video, whose flow is computed then and not stored.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from motionfit.benchmarks.experiment.answers import Answers, write_answers
from motionfit.benchmarks.flow_storage import exact_clips
from motionfit.inference.console import run, stderr
from motionfit.inference.errors import DatasetError
from motionfit.inference.prediction import video_scores
from motionfit.inference.video import read_frames
from motionfit.training.checkpoint import Checkpoint, load_checkpoint
from motionfit.training.evaluate import retime_targets
from motionfit.training.evaluation import clip_logits
from motionfit.training.frame_rates import stored_rate
from motionfit.training.manifest import Row, matching, parse_filter, read_dataset
from motionfit.training.retime import retimed
from motionfit.training.two_stream import flow_scores
from motionfit.training.watching import Looks, check_labels, see

Scores = NDArray[np.float64]
Targets = Sequence[tuple[Row, Fraction | None]]
"""Videos, and the frame rates they are re-timed to"""


def watch(
    network: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    labelled: Annotated[Path, typer.Option(help="The data set.")],
    where: Annotated[list[str], typer.Option(help="Only these videos: column=value[,value].")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
    flow: Annotated[
        Path | None, typer.Option(help="Folder of optical flow, for a network of flow.")
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Clips of a video, for a network of RGB.")
    ] = None,
) -> None:
    """Write the class scores of each video."""
    checkpoint = load_checkpoint(network)
    rows = matching(read_dataset(labelled).rows, map(parse_filter, where))
    check_labels(rows, labels=checkpoint.labels)
    targets = retime_targets(rows, rate=None, console=stderr)
    if not all(rate for _, rate in targets):
        raise DatasetError("every video must be re-timed, so its file must state a frame rate")
    if flow is None:
        count = clips or checkpoint.spec.num_clips
        seen = _see(checkpoint, targets, clips=count)
    else:
        seen = _see_flow(checkpoint, targets, folder=flow)
    write_answers(seen, output)


def _see(checkpoint: Checkpoint, targets: Targets, *, clips: int) -> Answers:
    seen, unreadable = see(
        checkpoint.model,
        targets,
        spec=checkpoint.spec,
        labels=checkpoint.labels,
        looks=Looks(clip_counts=(clips,), crops=1),
        console=stderr,
    )
    if unreadable:
        row, error = unreadable[0]
        raise DatasetError(f"every video must be read, and {row.name} cannot be: {error}")
    retimed = [one.retimed_scores for one in seen if one.retimed_scores is not None]
    return Answers.of(
        [one.row for one in seen],
        labels=checkpoint.labels,
        frame_rates=[one.frame_rate or 0 for one in seen],
        scores=np.stack([one.scores[-1] for one in seen]),
        retimed=np.stack(retimed),
    )


def _see_flow(checkpoint: Checkpoint, targets: Targets, *, folder: Path) -> Answers:
    rows = [row for row, _ in targets]
    seen, scores = flow_scores(checkpoint, rows, folder=folder, console=stderr)
    if len(seen) < len(rows):
        raise DatasetError(f"{len(rows) - len(seen)} videos have no optical flow")
    retimed = [_retimed_scores(checkpoint, row, rate=rate) for row, rate in targets if rate]
    return Answers.of(
        seen,
        labels=checkpoint.labels,
        frame_rates=[float(stored_rate(row.path) or 0) for row in seen],
        scores=scores,
        retimed=np.stack(retimed),
    )


def _retimed_scores(checkpoint: Checkpoint, row: Row, *, rate: Fraction) -> Scores:
    """What a network of flow says of a video stored at another frame rate, (C,)."""
    assert checkpoint.flow is not None
    video = read_frames(row.path, short_side=checkpoint.flow.compute_side)
    stored = retimed(video.times_us, duration_us=video.duration_us, rate=rate)
    video = replace(
        video,
        frames=video.frames[stored.sources],
        times_us=stored.times_us,
        duration_us=stored.duration_us,
    )
    logits = clip_logits(checkpoint.model, exact_clips(video, checkpoint), spec=checkpoint.spec)
    return video_scores(logits, temperature=checkpoint.spec.temperature)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(watch)
    run(app, name="watch")
