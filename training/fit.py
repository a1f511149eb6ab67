"""One training run, from a labelled data set to a run folder."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.video import Frames, read_frames
from motionfit.training.calibration import calibrate, scores_of
from motionfit.training.checkpoint import (
    CHECKPOINT,
    CLIPS,
    Checkpoint,
    save_checkpoint,
    save_clips,
)
from motionfit.training.dataset import LabelledFrames, TrainingClips
from motionfit.training.evaluation import TestVideos, accuracy, logits_of, read_test_videos
from motionfit.training.loop import Recipe, train
from motionfit.training.manifest import Filter, Row, labels_of, matching, read_manifest, without
from motionfit.training.model import R2Plus1D
from motionfit.training.provenance import git_revision, versions
from motionfit.training.record import (
    Measured,
    copied_from,
    data_record,
    measured_on,
    not_measured,
)
from motionfit.training.videos import Unreadable, read_all

LOG = "log.jsonl"
SAVED_CLIPS = 32


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What to train on what, and where to put it."""

    labelled: Path
    output: Path
    where: tuple[Filter, ...]
    hold_out: tuple[Filter, ...]
    """Videos that match all of these are kept for measuring and calibrating; none if empty."""
    calibration_from: Path | None
    """A run whose temperature and threshold are copied when this one holds nothing out."""
    spec: ClipSpec
    width: float
    recipe: Recipe
    command: str
    """The command line, for the record."""


def fit(options: FitOptions, *, console: Console) -> None:
    """Train a student and write its run folder. Raises DatasetError or CheckpointError.

    The checkpoint appears last and complete: a run that is stopped has none.
    """
    revision = git_revision()  # before hours of training in which the source may change
    training_rows, held_out_rows = split_rows(options)
    labels = labels_of(training_rows)
    measured = not_measured()
    if options.calibration_from is not None:
        measured = copied_from(options.calibration_from, spec=options.spec, labels=labels)
    options.output.mkdir(parents=True, exist_ok=True)

    videos, unreadable = _decode(training_rows, spec=options.spec, console=console)
    samples = [LabelledFrames(video=v, label=labels.index(row.label)) for row, v in videos]
    test_rows = held_out_rows or _spaced([row for row, _ in videos], SAVED_CLIPS)
    test = read_test_videos(test_rows, spec=options.spec, labels=labels, console=console)
    _save_sample_clips(options.output / CLIPS, test)

    torch.manual_seed(options.recipe.seed)
    model = R2Plus1D(len(labels), width=options.width)
    started = time.perf_counter()
    _train(model, samples, test if held_out_rows else None, options=options, console=console)
    seconds = time.perf_counter() - started
    if held_out_rows:
        measured = _measure(model, test, spec=options.spec)
    console.print(str(measured), highlight=False)

    data = data_record(
        options.labelled,
        training=training_rows,
        held_out=held_out_rows,
        filters={"where": options.where, "hold_out": options.hold_out},
        unreadable=unreadable + test.unreadable,
    )
    checkpoint = Checkpoint(
        model=model,
        spec=measured.applied_to(options.spec),
        labels=labels,
        width=options.width,
        training={
            "command": options.command,
            "recipe": asdict(options.recipe),
            "seconds": round(seconds, 1),
            "git_revision": revision,
            "versions": versions(),
            "data": data,
            "measured": measured.record(),
        },
    )
    save_checkpoint(options.output / CHECKPOINT, checkpoint)
    console.print(f"wrote {options.output / CHECKPOINT}", highlight=False, markup=False)


def split_rows(options: FitOptions) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The videos to train on and those held out. Raises DatasetError."""
    rows = matching(read_manifest(options.labelled), options.where)
    held_out = matching(rows, options.hold_out) if options.hold_out else ()
    training = without(rows, held_out)
    if not training:
        raise DatasetError("every video is held out; none is left to train on")
    if unknown := sorted(set(labels_of(held_out)) - set(labels_of(training))):
        raise DatasetError(f"all videos of {', '.join(unknown)} are held out; none trains it")
    return training, held_out


def _decode(
    rows: Sequence[Row], *, spec: ClipSpec, console: Console
) -> tuple[tuple[tuple[Row, Frames], ...], tuple[Unreadable, ...]]:
    read = partial(read_frames, short_side=spec.short_side)
    videos, unreadable = read_all(rows, read, what="decoding videos", console=console)
    gigabytes = sum(video.frames.nbytes for _, video in videos) / 1e9
    console.print(f"{len(videos)} videos take {gigabytes:.2f} GB of memory", highlight=False)
    return videos, unreadable


def _train(
    model: R2Plus1D,
    samples: Sequence[LabelledFrames],
    held_out: TestVideos | None,
    *,
    options: FitOptions,
    console: Console,
) -> None:
    clips = TrainingClips(samples, spec=options.spec, seed=options.recipe.seed)
    with (options.output / LOG).open("w", encoding="utf-8") as file:

        def log(figures: Mapping[str, Any]) -> None:
            file.write(json.dumps(figures) + "\n")
            file.flush()

        def evaluate(student: R2Plus1D) -> dict[str, float]:
            return {} if held_out is None else _held_out_accuracy(student, held_out, options.spec)

        train(model, clips, recipe=options.recipe, evaluate=evaluate, log=log, console=console)


def _held_out_accuracy(model: R2Plus1D, held_out: TestVideos, spec: ClipSpec) -> dict[str, float]:
    scores = scores_of(logits_of(model, held_out.frames, spec=spec), temperature=1.0)
    return {"held_out_accuracy": accuracy(scores, held_out.labels)}


def _measure(model: R2Plus1D, held_out: TestVideos, *, spec: ClipSpec) -> Measured:
    logits = logits_of(model, held_out.frames, spec=spec)
    calibration = calibrate(logits, held_out.labels)
    scores = scores_of(logits, temperature=calibration.temperature)
    return measured_on(
        calibration,
        videos=len(held_out.labels),
        accuracy=accuracy(scores, held_out.labels),
    )


def _spaced(rows: Sequence[Row], count: int) -> tuple[Row, ...]:
    """At most ``count`` rows, spread evenly."""
    places = np.unique(np.linspace(0, len(rows) - 1, count).astype(int))
    return tuple(rows[place] for place in places)


def _save_sample_clips(path: Path, test: TestVideos) -> None:
    count, clips_each = test.frames.shape[:2]
    places = np.unique(np.linspace(0, count - 1, SAVED_CLIPS).astype(int))
    save_clips(
        path,
        frames=torch.from_numpy(test.frames[places, clips_each // 2]),
        labels=torch.from_numpy(test.labels[places]),
    )
