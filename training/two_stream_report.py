"""RGB, flow and both together on the same videos: figures, and how sure their differences are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from motionfit.training.checkpoint import Checkpoint, load_checkpoint
from motionfit.training.json_record import Estimate, Record
from motionfit.training.manifest import Filter, Row, data_hash, matching, read_dataset
from motionfit.training.origins import Network, Origin, available_device
from motionfit.training.report import Data
from motionfit.training.resampling import rounded
from motionfit.training.row_clusters import ClusteredBy, clustered_by, clusters_of, group_of
from motionfit.training.scores import RateAccuracy, Scored, Unreadable, judge, weighted_mean
from motionfit.training.seen_videos import use_warnings
from motionfit.training.two_stream import BothStreams, Scores, both_streams

FORMAT: Final = 1

Name = Literal["rgb", "flow", "fused"]

COMPARED: Final[tuple[tuple[Name, Name], ...]] = (
    ("fused", "rgb"),
    ("fused", "flow"),
    ("flow", "rgb"),
)


@dataclass(frozen=True, kw_only=True)
class TwoStreamOptions:
    """Which networks, and which videos."""

    rgb: Path
    """A run folder or a checkpoint file"""
    flow: Path
    """The same of a network that takes flow"""
    folder: Path
    """Where computed flow is kept"""
    labelled: Path
    lists: Path | None
    where: tuple[Filter, ...]
    seed: int
    command: str
    """The command line, for the record"""


class StreamAccuracy(Record):
    """The accuracy of one network, or of both together."""

    stream: Name
    top1: Estimate
    nll: Estimate
    """Mean over videos of minus the natural logarithm of the true class's score."""
    per_frame_rate: tuple[RateAccuracy, ...]


class Difference(Record):
    """How much more of the same videos one stream gets right than another."""

    stream: Name
    less: Name
    top1: Estimate
    """Difference of the shares; interval over the same clusters, both streams together."""


class VideoScores(Record):
    """What was said of one video: scores of the classes, in the order of ``labels``."""

    video: str
    label: str
    group: str | None
    frame_rate: float | None
    """Frames per second of the file."""
    rgb: tuple[float, ...]
    flow: tuple[float, ...]
    fused: tuple[float, ...]


class TwoStreamReport(Record):
    """Everything about one comparison. Shares are 0 to 1, intervals 95 %."""

    format: Literal[1] = FORMAT
    origin: Origin
    rgb: Network
    flow: Network
    data: Data
    labels: tuple[str, ...]
    seed: int
    """Of resampling."""
    resampled_by: ClusteredBy
    """What the intervals draw with replacement."""
    clusters: int
    """How many of those there are."""
    streams: tuple[StreamAccuracy, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    videos: tuple[VideoScores, ...]


def two_stream_report(options: TwoStreamOptions, *, console: Console) -> TwoStreamReport:
    """Compare two networks and their fusion. Raises what ``two_stream.both_streams`` does."""
    origin = Origin.now(options.command)  # before the minutes in which the source may change
    rgb, flow = load_checkpoint(options.rgb), load_checkpoint(options.flow)
    rows = matching(read_dataset(options.labelled, lists=options.lists).rows, options.where)
    device = available_device()
    both = both_streams(
        replace(rgb, model=rgb.model.to(device)),
        replace(flow, model=flow.model.to(device)),
        rows=rows,
        folder=options.folder,
        console=console,
    )
    scores: Mapping[Name, Scores] = {"rgb": both.rgb, "flow": both.flow, "fused": both.fused}
    return TwoStreamReport(
        origin=origin,
        rgb=Network.of(options.rgb, rgb),
        flow=Network.of(options.flow, flow),
        data=Data(
            name=options.labelled.resolve().name,
            where=tuple(map(str, options.where)),
            videos=len(rows),
            sha256=data_hash(rows),
        ),
        labels=rgb.labels,
        seed=options.seed,
        resampled_by=clustered_by(both.rows),
        clusters=int(clusters_of(both.rows).max()) + 1,
        streams=tuple(
            accuracy_of_stream(name, lines, both, labels=rgb.labels, seed=options.seed)
            for name, lines in scores.items()
        ),
        differences=differences(both.rows, scores, labels=rgb.labels, seed=options.seed),
        warnings=_warnings(options, rows, rgb=rgb, flow=flow),
        unreadable=both.unreadable,
        videos=_videos(both),
    )


def differences(
    rows: tuple[Row, ...], scores: Mapping[Name, Scores], *, labels: tuple[str, ...], seed: int
) -> tuple[Difference, ...]:
    """How the streams differ on the same V videos, from the scores (V, C) of each."""
    true = np.array([labels.index(row.label) for row in rows])
    right: dict[str, NDArray[np.float64]] = {
        name: (lines.argmax(axis=1) == true).astype(np.float64) for name, lines in scores.items()
    }
    clusters = clusters_of(rows)
    return tuple(
        Difference(
            stream=one,
            less=other,
            top1=weighted_mean(right[one] - right[other], clusters=clusters, seed=seed),
        )
        for one, other in COMPARED
    )


def accuracy_of_stream(
    name: Name, scores: Scores, both: BothStreams, *, labels: tuple[str, ...], seed: int
) -> StreamAccuracy:
    """Of scores (V, C) for the videos that both networks could read."""
    scored = [
        Scored(
            video=row.name,
            label=row.label,
            group=group_of(row),
            frame_rate=rate,
            scores=line,
            answered=True,
        )
        for row, rate, line in zip(both.rows, both.frame_rates, scores, strict=True)
    ]
    judged = judge(scored, dataset="", labels=labels, unreadable=(), unknown=None, seed=seed)
    return StreamAccuracy(
        stream=name,
        top1=judged.top1,
        nll=judged.nll,
        per_frame_rate=judged.per_frame_rate,
    )


def _videos(both: BothStreams) -> tuple[VideoScores, ...]:
    lines = zip(both.rows, both.frame_rates, both.rgb, both.flow, both.fused, strict=True)
    return tuple(
        VideoScores(
            video=row.name,
            label=row.label,
            group=group_of(row),
            frame_rate=rate,
            rgb=tuple(map(rounded, rgb)),
            flow=tuple(map(rounded, flow)),
            fused=tuple(map(rounded, fused)),
        )
        for row, rate, rgb, flow, fused in lines
    )


def _warnings(
    options: TwoStreamOptions, rows: tuple[Row, ...], *, rgb: Checkpoint, flow: Checkpoint
) -> tuple[str, ...]:
    return (
        *use_warnings(options.rgb, rgb.training, rows, network="the RGB network"),
        *use_warnings(options.flow, flow.training, rows, network="the flow network"),
    )
