"""The student: an RGB network trained on the clips that a teacher labelled, at their times.

It reads pictures alone. Only its rivals MARS and MERS (``--match``) see flow, and that was computed
before: nothing here computes any.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from numpy.typing import NDArray
from rich.console import Console

from motionfit.inference.bundle import sha256_of
from motionfit.inference.errors import DatasetError
from motionfit.training.cache import Cache, open_cache
from motionfit.training.checkpoint import (
    Checkpoint,
    CheckpointError,
    checkpoint_file,
    load_checkpoint,
)
from motionfit.training.dataset import Clips
from motionfit.training.flow_store import open_store
from motionfit.training.flow_video import FlowVideo
from motionfit.training.grid_clips import Pair, PairSamples, PictureSamples, Pieces
from motionfit.training.loop import Task, check_precision, train
from motionfit.training.manifest import Row, data_hash, parse_filter
from motionfit.training.model import R2Plus1D
from motionfit.training.objectives import Matching, MultiClip, Objective
from motionfit.training.parts import freeze
from motionfit.training.pseudo_labels import PseudoLabels, read_labels
from motionfit.training.record import not_measured
from motionfit.training.session import Material, RunOptions, begin, finish, shared
from motionfit.training.stage_config import StudentConfig
from motionfit.training.start import Start, load_start
from motionfit.training.unlabelled import of_one_class, read_unlabelled

SHARED = ("num_frames", "frame_rate", "short_side")
"""What pictures and flow of one clip have in common."""


def train_student(options: RunOptions[StudentConfig], *, console: Console) -> None:
    """Train a student on pseudo-labels and write its run folder.

    A run that is stopped leaves its state, and ends in KeyboardInterrupt. Raises ConfigError,
    DatasetError, CacheError or CheckpointError.
    """
    process = PartialState()
    if not process.is_main_process:
        console = Console(quiet=True)
    config = options.config
    check_precision(config.train, console=console)
    labels = read_labels(config.source.labels)
    rows = labelled_rows(config, labels)
    console.print(
        f"{len(labels.videos)} pseudo-labels of {len(rows)} videos, {len(labels.labels)} classes",
        highlight=False,
    )
    targets = labels.targets
    if config.source.shuffled:
        targets = shuffled(targets, seed=config.train.seed)
    torch.manual_seed(config.train.seed)
    start = load_start(
        config.model.start, labels=labels.labels, width=config.model.width, spec=labels.spec
    )
    freeze(start.model, config.model.freeze)
    objective = _objective(config, labels, start=start)
    spec = not_measured().applied_to(labels.spec)  # the teacher's calibration is not the student's
    record = begin(options, training=rows, held_out=())
    with shared(_material(config, labels, targets, rows=rows, console=console)) as material:
        started = time.perf_counter()
        trained = _train(options, material, objective, model=start.model, console=console)
        seconds = time.perf_counter() - started
    if not process.is_main_process:
        return
    checkpoint = Checkpoint(
        model=trained,
        spec=spec,
        labels=labels.labels,
        width=start.width,
        training={
            "start": start.origin,
            "seconds": round(seconds, 1),
            "pseudo_labels": labels.record,
            "data": {
                "name": config.source.unlabelled.resolve().name,
                "training_videos": len(rows),
                "training_sha256": data_hash(rows),
                "unreadable": [one.name for one in material.unreadable],
            },
            "measured": not_measured().record(),
        },
    )
    finish(options, checkpoint, record=record, console=console)


def labelled_rows(config: StudentConfig, labels: PseudoLabels) -> tuple[Row, ...]:
    """The videos that have a pseudo-label, without their true labels. Raises DatasetError."""
    source = config.source
    where = tuple(map(parse_filter, source.where))
    known = read_unlabelled(source.unlabelled, lists=source.lists, where=where)
    wanted = set(labels.videos)
    rows = tuple(row for row in known if row.name in wanted)
    if not rows:
        raise DatasetError(f"{source.labels} labels none of the videos of {source.unlabelled}")
    if absent := len(wanted) - len(rows):
        raise DatasetError(
            f"{source.labels} labels {absent} videos that are not among those of "
            f"{source.unlabelled}: give the data set and the --where that were labelled"
        )
    return of_one_class(rows)


def shuffled(targets: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
    """The rows of ``targets`` (N, C) in an order that ``seed`` alone decides."""
    return targets[np.random.default_rng(seed).permutation(len(targets))]


def _objective(config: StudentConfig, labels: PseudoLabels, *, start: Start) -> Objective:
    smoothing = config.train.label_smoothing
    if config.match.match is None:
        return MultiClip(spec=labels.spec, label_smoothing=smoothing)
    teacher = load_checkpoint(config.match.match)
    _check_match(config.match.match, teacher, labels, start=start)
    if not config.match.cross_entropy:  # several processes would wait for its gradient
        freeze(start.model, ("fc",))
    return Matching(
        teacher.model.to(PartialState().device),
        spec=labels.spec,
        label_smoothing=smoothing,
        alpha=config.match.alpha,
        cross_entropy=config.match.cross_entropy,
    )


def _check_match(run: Path, teacher: Checkpoint, labels: PseudoLabels, *, start: Start) -> None:
    if teacher.flow is None:
        raise CheckpointError(f"{run} sees pictures: --match takes a motion teacher")
    if teacher.width != start.width:
        raise CheckpointError(
            f"features are matched one to one, so the student needs the width of {run}, "
            f"{teacher.width:g}; got {start.width:g}"
        )
    ours, theirs = labels.spec, teacher.flow.sampling
    if any(getattr(ours, name) != getattr(theirs, name) for name in SHARED):
        raise CheckpointError(f"{run} sees other clips than those that were labelled")


def _train(
    options: RunOptions[StudentConfig],
    material: Material,
    objective: Objective,
    *,
    model: R2Plus1D,
    console: Console,
) -> R2Plus1D:
    config = options.config
    task = Task(
        model=model,
        clips=material.clips,
        objective=objective,
        evaluate=None,
        fingerprint=_fingerprint(config, material.rows),
    )
    return train(
        task,
        config=config.train,
        workers=config.input.workers,
        run=options.output,
        resume=options.resume,
        console=console,
    )


def _fingerprint(config: StudentConfig, rows: Sequence[Row]) -> str:
    """Of the videos, their labels, the network that is matched, and the processes."""
    files = [sha256_of(config.source.labels)]
    if config.match.match is not None:
        files.append(sha256_of(checkpoint_file(config.match.match)))
    return ", ".join([data_hash(rows), *files, f"{PartialState().num_processes} processes"])


@contextmanager
def _material(
    config: StudentConfig,
    labels: PseudoLabels,
    targets: NDArray[np.float32],
    *,
    rows: Sequence[Row],
    console: Console,
) -> Iterator[Material]:
    spec = labels.spec
    with open_cache(
        rows, short_side=spec.short_side, config=config.input, console=console
    ) as cache:
        clips: Clips
        if config.match.match is None:
            clips = PictureSamples(
                [piece for _, piece in _pieces(labels, targets, cache)],
                spec=spec,
                augment=config.augment,
                clips_each=1,
                seed=config.train.seed,
            )
        else:
            clips = PairSamples(
                _pairs(config, labels, targets, cache=cache),
                spec=spec,
                augment=config.augment,
                seed=config.train.seed,
            )
        yield Material(
            clips=clips,
            rows=tuple(row for row, _ in cache.videos),
            unreadable=cache.unreadable,
        )


def _pieces(
    labels: PseudoLabels, targets: NDArray[np.float32], cache: Cache
) -> tuple[tuple[str, Pieces], ...]:
    """Each labelled piece of the videos that can be read, with the video's name."""
    videos = {row.name: video for row, video in cache.videos}
    spans = zip(labels.starts_us.tolist(), labels.ends_us.tolist(), strict=True)
    return tuple(
        (name, Pieces(video=videos[name], spans_us=(span,), target=torch.tensor(target)))
        for name, span, target in zip(labels.videos, spans, targets, strict=True)
        if name in videos
    )


def _pairs(
    config: StudentConfig,
    labels: PseudoLabels,
    targets: NDArray[np.float32],
    *,
    cache: Cache,
) -> tuple[Pair, ...]:
    assert config.match.match is not None
    assert config.match.flow is not None
    flow = load_checkpoint(config.match.match).flow
    assert flow is not None
    rows = [row for row, _ in cache.videos]
    store = open_store(config.match.flow, spec=flow)
    flows = {row.name: video for row in rows if (video := store.find(row.path)) is not None}
    if missing := len(rows) - len(flows):
        raise DatasetError(
            f"{config.match.flow} lacks the flow of {missing} of {len(rows)} videos: label them "
            "with it first, or run  motionfit-train flow"
        )
    return tuple(
        Pair(
            video=piece.video,
            start_us=piece.spans_us[0][0],
            flow=flows[name],
            clip=_grid_place(flows[name], piece.spans_us[0][0], labels=config.source.labels),
            target=piece.target,
        )
        for name, piece in _pieces(labels, targets, cache)
    )


def _grid_place(video: FlowVideo, start_us: int, *, labels: Path) -> int:
    """Which of the grid clips starts then. Raises DatasetError."""
    places = np.flatnonzero(video.starts_us == start_us)
    if not len(places):
        raise DatasetError(
            f"{labels} labels other pieces than the clips that flow was computed for; to match "
            "features, label by --granularity clip, with the same --grid-clips"
        )
    return int(places[0])
