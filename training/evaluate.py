"""One evaluation, from a checkpoint and labelled videos to a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from motionfit.inference.bundle import sha256_of
from motionfit.inference.errors import DatasetError
from motionfit.training.checkpoint import CHECKPOINT, Checkpoint, CheckpointError, load_student
from motionfit.training.frame_rates import stored_rates
from motionfit.training.manifest import Filter, Row, data_hash, matching, read_dataset
from motionfit.training.provenance import git_revision, versions
from motionfit.training.recipe import recipe_of
from motionfit.training.report import Data, Model, Report, report_of
from motionfit.training.retime import other_rate, rates_by_frequency
from motionfit.training.seen_videos import held_out_of, use_warnings
from motionfit.training.watching import Looks, check_labels, see

NOT_RECORDED = "the checkpoint does not say where from"


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What to evaluate, on what, and how often to look."""

    run: Path
    """A run folder or a checkpoint file"""
    labelled: Path
    lists: Path | None
    where: tuple[Filter, ...]
    held_out: bool
    """Only the videos that the run held out"""
    clips: int | None
    """Clips of a video; None for the checkpoint's own number"""
    crops: int
    """Crops of each clip: 1 or 3"""
    retime: Fraction | None
    """Frames per second to re-time all videos to; None for another rate of the data set"""
    seed: int
    command: str
    """The command line, for the record"""


def evaluate(options: EvaluateOptions, *, console: Console) -> Report:
    """Evaluate a student. Raises CheckpointError or DatasetError."""
    revision = git_revision()  # before the minutes in which the source may change
    checkpoint = load_student(options.run)
    dataset = read_dataset(options.labelled, lists=options.lists)
    rows = matching(dataset.rows, options.where)
    if options.held_out:
        rows = held_out_of(options.run, rows)
    check_labels(rows, labels=checkpoint.labels)
    absent = len(dataset.absent)
    data = Data(
        name=options.labelled.resolve().name,
        where=(*map(str, options.where), *(["held out by the run"] if options.held_out else [])),
        videos=len(rows),
        sha256=data_hash(rows),
    )
    looks = Looks(
        clip_counts=doublings(options.clips or checkpoint.spec.num_clips), crops=options.crops
    )
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    seen, unreadable = see(
        checkpoint.model.to(device),
        retime_targets(rows, rate=options.retime, console=console),
        spec=checkpoint.spec,
        labels=checkpoint.labels,
        looks=looks,
        console=console,
    )
    if not all(np.isfinite(one.scores).all() for one in seen):
        raise CheckpointError(f"{options.run} answers with no finite numbers: its training failed")
    return report_of(
        seen,
        unreadable,
        model=_model(options.run, checkpoint),
        data=data,
        looks=looks,
        seed=options.seed,
        warnings=[
            *use_warnings(options.run, checkpoint.training, rows, network="the model"),
            *([f"{absent} videos of the lists are not in the folder"] if absent else []),
        ],
        origin={
            "command": options.command,
            "git_revision": revision,
            "libraries": versions(),
            "device": _name_of(device),
        },
    )


def doublings(last: int) -> tuple[int, ...]:
    """1, 2, 4 and so on, and ``last``."""
    return (*(2**power for power in range(last.bit_length()) if 2**power < last), last)


def retime_targets(
    rows: Sequence[Row], *, rate: Fraction | None, console: Console
) -> tuple[tuple[Row, Fraction | None], ...]:
    """Each row with the frame rate to re-time it to: ``rate``, or else the commonest other one.

    None for a video that has ``rate`` already. Raises DatasetError when that is every video.
    """
    found = stored_rates(rows, console=console)
    choices = rates_by_frequency(found) if rate is None else (rate,)
    targets = [other_rate(own, choices=choices) for own in found]
    if not any(targets):
        raise DatasetError(
            f"every video has {float(choices[0]):g} frames a second already: give --retime another "
            "rate"
        )
    return tuple(zip(rows, targets, strict=True))


def _model(run: Path, checkpoint: Checkpoint) -> Model:
    file = run / CHECKPOINT if run.is_dir() else run
    return Model(
        name=file.resolve().parent.name if file.name == CHECKPOINT else file.stem,
        sha256=sha256_of(file),
        labels=checkpoint.labels,
        recipe=recipe_of(checkpoint.training),
        clip=checkpoint.spec.to_json(),
        calibrated_on=checkpoint.training.get("measured", {}).get("source", NOT_RECORDED),
    )


def _name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
