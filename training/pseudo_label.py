"""A trained teacher and unlabelled videos -> pseudo-labels, with a report on how good they are.

The output folder holds

    predictions/      what the teacher says of every grid clip: see ``predictions``
    quality.json      the report on the labels
    quality.md        the same for people
    labels.parquet    the pseudo-labels; it appears last

Predictions that are there are not made again: neither when the command goes on after it was stopped
or killed, nor when it makes other labels of them (another kind, granularity or threshold).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from motionfit.inference.bundle import sha256_of
from motionfit.training.cache import open_cache
from motionfit.training.checkpoint import CHECKPOINT, Checkpoint, load_checkpoint
from motionfit.training.config import ConfigError, Input
from motionfit.training.flow_store import open_flow
from motionfit.training.frame_rates import stored_rates
from motionfit.training.label_quality import judge_labels, true_classes
from motionfit.training.label_quality_text import notes, table, write_quality
from motionfit.training.labelling import LabelOptions, make_labels
from motionfit.training.manifest import Filter, Row, data_hash
from motionfit.training.predict import GridVideo, part_count, predict, rgb_grid
from motionfit.training.predictions import About, missing_parts, read_predictions
from motionfit.training.pseudo_labels import write_labels
from motionfit.training.seen_videos import seen_by
from motionfit.training.unlabelled import of_one_class, read_unlabelled
from motionfit.training.videos import Unreadable

LABELS, PREDICTIONS = "labels.parquet", "predictions"
GRID_CLIPS = 8


@dataclass(frozen=True, kw_only=True)
class PseudoLabelOptions:
    """Which teacher labels which videos, how, and where to."""

    teacher: Path
    """A run folder or a checkpoint file"""
    unlabelled: Path
    lists: Path | None = None
    where: tuple[Filter, ...] = ()
    output: Path
    flow: Path | None = None
    """Folder of optical flow, for a teacher that sees flow"""
    grid_clips: int | None = None
    """Clips of a video, for a teacher that sees RGB; None: 8"""
    labels: LabelOptions = LabelOptions()
    batch_size: int = 32
    """Clips that the teacher looks at together"""
    processes: int | None = None
    """None: one, or on a CPU one for each core"""
    input: Input = Input()
    """Where decoded videos are kept, for a teacher that sees RGB"""
    command: str
    """The command line, for the record"""


@dataclass(frozen=True, kw_only=True)
class _Source:
    """The videos that a teacher can look at."""

    clips: tuple[tuple[Row, GridVideo], ...]
    unreadable: tuple[Unreadable, ...]


def pseudo_label(options: PseudoLabelOptions, *, console: Console) -> None:
    """Write the pseudo-labels of a teacher. What was stopped or killed goes on when called again.

    Raises CheckpointError, ConfigError, DatasetError or CacheError.
    """
    checkpoint = load_checkpoint(options.teacher)
    _check(options, checkpoint)
    rows = read_unlabelled(options.unlabelled, lists=options.lists, where=options.where)
    folder = options.output / PREDICTIONS
    about = _about(options, checkpoint, rows)
    if missing_parts(folder, about):
        with _source(rows, checkpoint, options=options, console=console) as source:
            predict(
                [(row.name, video) for row, video in source.clips],
                unreadable=source.unreadable,
                teacher=_file(options.teacher),
                about=about,
                folder=folder,
                batch_size=options.batch_size,
                processes=options.processes,
                console=console,
            )
    predictions = read_predictions(folder)
    labels = make_labels(predictions, options=options.labels)
    known = true_classes(labels, rows).keys() & set(labels.videos)
    judged = [row for row in rows if row.name in known]
    rates = stored_rates(judged, console=console)
    quality = judge_labels(
        labels,
        rows,
        seen=seen_by(options.teacher, rows),
        frame_rates={
            row.name: float(rate) for row, rate in zip(judged, rates, strict=True) if rate
        },
        unreadable=predictions.unreadable,
        command=options.command,
    )
    (options.output / LABELS).unlink(missing_ok=True)  # older ones, which the report is not about
    write_quality(quality, options.output)
    write_labels(options.output / LABELS, labels)
    console.print(table(quality))
    for note in notes(quality):
        console.print(note, markup=False, soft_wrap=True)
    console.print(f"wrote {options.output / LABELS}", highlight=False, markup=False)


def _check(options: PseudoLabelOptions, checkpoint: Checkpoint) -> None:
    if checkpoint.flow is not None and options.flow is None:
        raise ConfigError(f"{options.teacher} sees optical flow: give --flow, the folder of it")
    if checkpoint.flow is None and options.flow is not None:
        raise ConfigError(f"{options.teacher} sees RGB and needs no --flow: leave it away")
    if checkpoint.flow is not None and options.grid_clips is not None:
        raise ConfigError(
            f"{options.teacher} looks at the {checkpoint.flow.grid_clips} clips of a video that "
            "flow is computed for: leave --grid-clips away"
        )


@contextmanager
def _source(
    rows: Sequence[Row], checkpoint: Checkpoint, *, options: PseudoLabelOptions, console: Console
) -> Iterator[_Source]:
    alike = of_one_class(rows)
    if checkpoint.flow is not None:
        assert options.flow is not None
        flows = open_flow(alike, folder=options.flow, spec=checkpoint.flow, console=console)
        yield _Source(clips=flows.videos, unreadable=flows.unreadable)
        return
    spec = checkpoint.spec
    with open_cache(
        alike, short_side=spec.short_side, config=options.input, console=console
    ) as cache:
        yield _Source(
            clips=tuple(
                (row, rgb_grid(video, spec=spec, clips=options.grid_clips or GRID_CLIPS))
                for row, video in cache.videos
            ),
            unreadable=cache.unreadable,
        )


def _about(options: PseudoLabelOptions, checkpoint: Checkpoint, rows: Sequence[Row]) -> About:
    flow = checkpoint.flow
    return About(
        teacher=sha256_of(_file(options.teacher)),
        labels=checkpoint.labels,
        dimensions=checkpoint.model.fc.in_features,
        spec=checkpoint.spec,
        flow=flow,
        grid_clips=(options.grid_clips or GRID_CLIPS) if flow is None else flow.grid_clips,
        videos=data_hash(of_one_class(rows)),  # labels decide nothing
        parts=part_count(len(rows)),
    )


def _file(teacher: Path) -> Path:
    return teacher / CHECKPOINT if teacher.is_dir() else teacher
