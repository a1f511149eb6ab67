"""One supervised training run, from a labelled data set to a run folder.

Besides what every run folder holds (see ``session``) there is clips.safetensors: real clips, on
which an export is verified.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from numpy.typing import NDArray
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.training.cache import Cache, open_cache
from motionfit.training.calibration import calibrate, scores_of
from motionfit.training.checkpoint import CLIPS, Checkpoint, save_clips
from motionfit.training.config import Config, Data
from motionfit.training.dataset import LabelledVideo, TrainingClips
from motionfit.training.evaluation import TestVideos, accuracy, logits_of, read_test_videos
from motionfit.training.loop import Task, check_precision, train
from motionfit.training.manifest import (
    Row,
    data_hash,
    labels_of,
    matching,
    parse_filter,
    read_dataset,
    without,
)
from motionfit.training.model import R2Plus1D
from motionfit.training.objectives import CrossEntropy
from motionfit.training.parts import freeze
from motionfit.training.record import (
    Measured,
    copied_from,
    data_record,
    measured_on,
    not_measured,
)
from motionfit.training.seen_videos import uses_of
from motionfit.training.session import RunOptions, begin, finish, shared
from motionfit.training.splits import held_out_share
from motionfit.training.start import Start, load_start
from motionfit.training.used_videos import TRAINING

SAVED_CLIPS = 32

FitOptions = RunOptions[Config]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is about, known before anything is decoded or written."""

    training: tuple[Row, ...]
    held_out: tuple[Row, ...]
    labels: tuple[str, ...]
    spec: ClipSpec
    copied: Measured | None
    """The calibration of an earlier run, when it is to be copied."""
    start: Start
    seen_by_start: int
    """Videos held out here that the starting weights were trained on, as far as it is known."""


def fit(options: FitOptions, *, console: Console) -> None:
    """Train a student and write its run folder.

    The checkpoint appears last and complete. A run that is stopped leaves its state, and ends in
    KeyboardInterrupt. Raises ConfigError, DatasetError or CheckpointError.
    """
    process = PartialState()
    if not process.is_main_process:
        console = Console(quiet=True)
    config = options.config
    plan = make_plan(config, console=console)
    record = begin(options, training=plan.training, held_out=plan.held_out)
    short_side = plan.spec.short_side
    with shared(
        open_cache(plan.training, short_side=short_side, config=config.input, console=console)
    ) as cache:
        test = None
        if process.is_main_process:
            test = _test_videos(plan, cache, console=console)
            _save_sample_clips(options.output / CLIPS, test)
        started = time.perf_counter()
        model = _train(plan, cache, test, options=options, console=console)
        seconds = time.perf_counter() - started
    if test is None:  # the main process measures and saves
        return
    measured = plan.copied or not_measured()
    if plan.held_out:
        measured = measure(logits_of(model, test.frames, spec=plan.spec), test.labels)
    console.print(str(measured), highlight=False)
    checkpoint = Checkpoint(
        model=model,
        spec=measured.applied_to(plan.spec),
        labels=plan.labels,
        width=plan.start.width,
        training={
            "start": plan.start.origin,
            "seconds": round(seconds, 1),
            "data": data_record(
                config.data,
                training=plan.training,
                held_out=plan.held_out,
                unreadable=cache.unreadable + test.unreadable,
            )
            | {"held_out_seen_by_start": plan.seen_by_start},
            "measured": measured.record(),
        },
    )
    finish(options, checkpoint, record=record, console=console)


def make_plan(config: Config, *, console: Console) -> Plan:
    """Everything that can be wrong with a configuration is found here, before work begins."""
    spec = config.clip.spec()
    check_precision(config.train, console=console)
    training, held_out = split_rows(config.data, seed=config.train.seed, console=console)
    labels = labels_of(training)
    earlier = config.data.calibration_from
    copied = None if earlier is None else copied_from(earlier, spec=spec, labels=labels)
    torch.manual_seed(config.train.seed)
    start = load_start(config.model.start, labels=labels, width=config.model.width, spec=spec)
    freeze(start.model, config.model.freeze)
    console.print(str(start), highlight=False, markup=False)
    seen = _seen_by_start(config.model.start, held_out)
    if seen:
        console.print(
            f"warning: the starting weights were trained on {seen} of the {len(held_out)} videos "
            "held out, so accuracy and calibration on these are better than on new ones",
            highlight=False,
        )
    return Plan(
        training=training,
        held_out=held_out,
        labels=labels,
        spec=spec,
        copied=copied,
        start=start,
        seen_by_start=seen,
    )


def _seen_by_start(start: str | None, held_out: Sequence[Row]) -> int:
    """How many videos the run in the folder ``start``, if it is one, was trained on."""
    if start is None:
        return 0
    return Counter(uses_of(Path(start), held_out).values())[TRAINING]


def split_rows(
    data: Data, *, seed: int, console: Console
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The videos to train on and those held out. Raises DatasetError."""
    dataset = read_dataset(data.labelled, lists=data.lists)
    if dataset.absent:
        console.print(f"{len(dataset.absent)} videos of {data.lists} are not in {data.labelled}")
    rows = matching(dataset.rows, map(parse_filter, data.where))
    held_out: tuple[Row, ...] = ()
    if data.hold_out:
        held_out = matching(rows, map(parse_filter, data.hold_out))
    elif data.calibration_from is None and data.hold_out_share:
        held_out = held_out_share(rows, share=data.hold_out_share, seed=seed)
    training = without(rows, held_out)
    if not training:
        raise DatasetError("every video is held out; none is left to train on")
    if unknown := sorted(set(labels_of(held_out)) - set(labels_of(training))):
        raise DatasetError(f"all videos of {', '.join(unknown)} are held out; none trains it")
    console.print(
        f"{len(training)} videos of {len(labels_of(training))} classes to train on, "
        f"{len(held_out)} held out",
        highlight=False,
    )
    return training, held_out


def _test_videos(plan: Plan, cache: Cache, *, console: Console) -> TestVideos:
    """The held-out videos or, without any, some training videos, so that clips can be saved."""
    rows = plan.held_out or _spaced([row for row, _ in cache.videos], SAVED_CLIPS)
    return read_test_videos(rows, spec=plan.spec, labels=plan.labels, console=console)


def _train(
    plan: Plan, cache: Cache, test: TestVideos | None, *, options: FitOptions, console: Console
) -> R2Plus1D:
    config = options.config
    videos = [LabelledVideo(video=v, label=plan.labels.index(row.label)) for row, v in cache.videos]
    task = Task(
        model=plan.start.model,
        clips=TrainingClips(videos, spec=plan.spec, augment=config.augment, seed=config.train.seed),
        objective=CrossEntropy(spec=plan.spec, label_smoothing=config.train.label_smoothing),
        evaluate=partial(_held_out_figures, test=test, spec=plan.spec)
        if plan.held_out and test is not None
        else None,
        fingerprint=f"{data_hash(row for row, _ in cache.videos)}, {plan.start.origin}, "
        f"{PartialState().num_processes} processes",
    )
    return train(
        task,
        config=config.train,
        workers=config.input.workers,
        run=options.output,
        resume=options.resume,
        console=console,
    )


def _held_out_figures(
    student: R2Plus1D, *, test: TestVideos, spec: ClipSpec
) -> Mapping[str, float]:
    scores = scores_of(logits_of(student, test.frames, spec=spec), temperature=1.0)
    return {"held_out_accuracy": accuracy(scores, test.labels)}


def measure(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Measured:
    """Calibration and accuracy on held-out videos: their logits (V, K, classes), classes (V,)."""
    calibration = calibrate(logits, labels)
    scores = scores_of(logits, temperature=calibration.temperature)
    return measured_on(calibration, videos=len(labels), accuracy=accuracy(scores, labels))


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
