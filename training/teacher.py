"""The pseudo-label generator: trained from scratch on the small labelled set.

On optical flow it is MotionFit's motion generator, on pictures the appearance generator that it is
compared with. Both see the same grid of clips (``grid.grid_starts``), and R clips of a video share
one loss (``objectives.MultiClip``).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from numpy.typing import NDArray
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.inference.sampling import clip_length_us
from motionfit.training.cache import open_cache
from motionfit.training.calibration import scores_of
from motionfit.training.checkpoint import Checkpoint
from motionfit.training.evaluation import accuracy, flow_logits, logits_of, read_test_videos
from motionfit.training.fit import measure, split_rows
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_store import open_flow
from motionfit.training.flow_video import FlowVideo
from motionfit.training.grid import grid_starts
from motionfit.training.grid_clips import FlowClips, FlowSamples, PictureSamples, Pieces
from motionfit.training.loop import Task, check_precision, train
from motionfit.training.manifest import Row, data_hash, labels_of
from motionfit.training.model import FLOW, RGB, R2Plus1D
from motionfit.training.objectives import MultiClip
from motionfit.training.record import data_record, not_measured
from motionfit.training.session import Material, RunOptions, begin, finish, shared
from motionfit.training.stage_config import TeacherConfig
from motionfit.training.videos import Unreadable

Logits = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Held-out videos, ready to be looked at."""

    logits: Callable[[R2Plus1D], Logits]
    """Of a network in eval mode: (V, K, classes) float32"""
    labels: NDArray[np.int64]
    """(V,) int64, indices of classes"""
    unreadable: tuple[Unreadable, ...]

    def figures(self, network: R2Plus1D) -> Mapping[str, float]:
        """What the loop notes of a look at the held-out videos."""
        scores = scores_of(self.logits(network), temperature=1.0)
        return {"held_out_accuracy": accuracy(scores, self.labels)}


def train_teacher(options: RunOptions[TeacherConfig], *, console: Console) -> None:
    """Train a pseudo-label generator and write its run folder.

    A run that is stopped leaves its state, and ends in KeyboardInterrupt. Raises ConfigError,
    DatasetError, CacheError or CheckpointError.
    """
    process = PartialState()
    if not process.is_main_process:
        console = Console(quiet=True)
    config = options.config
    check_precision(config.train, console=console)
    flow = flow_of(config)
    training, held_out = split_rows(config.data, seed=config.train.seed, console=console)
    labels = labels_of(training)
    record = begin(options, training=training, held_out=held_out)
    with shared(_material(config, training, flow=flow, console=console)) as material:
        judge = None
        if held_out and process.is_main_process:
            judge = _judge(config, held_out, labels=labels, flow=flow, console=console)
        started = time.perf_counter()
        trained = _train(options, material, judge, labels=labels, console=console)
        seconds = time.perf_counter() - started
    if not process.is_main_process:
        return
    measured = not_measured() if judge is None else measure(judge.logits(trained), judge.labels)
    console.print(str(measured), highlight=False)
    checkpoint = Checkpoint(
        model=trained,
        spec=measured.applied_to(config.clip.spec()),
        labels=labels,
        width=config.network.width,
        flow=flow,
        training={
            "start": "random weights",
            "seconds": round(seconds, 1),
            "data": data_record(
                config.data,
                training=training,
                held_out=held_out,
                unreadable=material.unreadable + (() if judge is None else judge.unreadable),
            ),
            "measured": measured.record(),
        },
    )
    finish(options, checkpoint, record=record, console=console)


def flow_of(config: TeacherConfig) -> FlowSpec | None:
    """The flow that a teacher sees; None for one that sees pictures."""
    return config.flow.spec(config.clip) if config.teacher.modality == "flow" else None


def _train(
    options: RunOptions[TeacherConfig],
    material: Material,
    judge: Judge | None,
    *,
    labels: Sequence[str],
    console: Console,
) -> R2Plus1D:
    config = options.config
    torch.manual_seed(config.train.seed)
    channels = RGB if config.teacher.modality == "rgb" else FLOW
    task = Task(
        model=R2Plus1D(len(labels), width=config.network.width, channels=channels),
        clips=material.clips,
        objective=MultiClip(
            spec=config.clip.spec(),
            label_smoothing=config.train.label_smoothing,
            average=config.teacher.average,
        ),
        evaluate=None if judge is None else judge.figures,
        fingerprint=f"{data_hash(material.rows)}, {PartialState().num_processes} processes",
    )
    return train(
        task,
        config=config.train,
        workers=config.input.workers,
        run=options.output,
        resume=options.resume,
        console=console,
    )


@contextmanager
def _material(
    config: TeacherConfig, rows: Sequence[Row], *, flow: FlowSpec | None, console: Console
) -> Iterator[Material]:
    labels, spec = labels_of(rows), config.clip.spec()
    clips_each, seed = config.teacher.loss_clips, config.train.seed
    if flow is not None:
        found = open_flow(rows, folder=_folder(config), spec=flow, console=console)
        samples = [FlowClips(video=v, target=labels.index(row.label)) for row, v in found.videos]
        yield Material(
            clips=FlowSamples(
                samples, crop=spec.crop, augment=config.augment, clips_each=clips_each, seed=seed
            ),
            rows=tuple(row for row, _ in found.videos),
            unreadable=found.unreadable,
        )
        return
    with open_cache(
        rows, short_side=spec.short_side, config=config.input, console=console
    ) as cache:
        pieces = [
            Pieces(
                video=video,
                spans_us=grid_spans(video.duration_us, spec=spec, clips=config.flow.grid_clips),
                target=labels.index(row.label),
            )
            for row, video in cache.videos
        ]
        yield Material(
            clips=PictureSamples(
                pieces, spec=spec, augment=config.augment, clips_each=clips_each, seed=seed
            ),
            rows=tuple(row for row, _ in cache.videos),
            unreadable=cache.unreadable,
        )


def grid_spans(duration_us: int, *, spec: ClipSpec, clips: int) -> tuple[tuple[int, int], ...]:
    """Where each grid clip of a video begins and ends."""
    length = clip_length_us(spec)
    starts = grid_starts(duration_us, spec=spec, clips=clips)
    return tuple((int(start), int(start) + length) for start in starts)


def _judge(
    config: TeacherConfig,
    rows: Sequence[Row],
    *,
    labels: Sequence[str],
    flow: FlowSpec | None,
    console: Console,
) -> Judge:
    spec = config.clip.spec()
    if flow is None:
        test = read_test_videos(rows, spec=spec, labels=labels, console=console)
        return Judge(
            logits=partial(logits_of, frames=test.frames, spec=spec),
            labels=test.labels,
            unreadable=test.unreadable,
        )
    found = open_flow(rows, folder=_folder(config), spec=flow, console=console)
    return Judge(
        logits=partial(_flow_logits, videos=[video for _, video in found.videos], spec=spec),
        labels=np.array([labels.index(row.label) for row, _ in found.videos], np.int64),
        unreadable=found.unreadable,
    )


def _flow_logits(network: R2Plus1D, videos: Sequence[FlowVideo], *, spec: ClipSpec) -> Logits:
    return np.stack([flow_logits(network, video, spec=spec) for video in videos])


def _folder(config: TeacherConfig) -> Path:
    assert config.flow.flow is not None  # TeacherConfig sees to it
    return config.flow.flow
