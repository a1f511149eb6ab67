"""A student watches labelled videos one by one: clips, crops, and once at another frame rate."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError, VideoError
from motionfit.inference.prediction import video_scores
from motionfit.training.evaluation import clip_logits
from motionfit.training.manifest import Row
from motionfit.training.model import R2Plus1D
from motionfit.training.read_ahead import read_ahead
from motionfit.training.views import VideoViews, read_views


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How often a student looks at a video."""

    clip_counts: tuple[int, ...]
    """Numbers of clips, ascending; the last is the one that counts, the others show its course"""
    crops: int
    """Crops of each clip: 1 or 3"""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a student says of one video. Scores are the mean over views of softmax(logits / T)."""

    row: Row
    frame_rate: float | None
    """Frames per second that the file states"""
    scores: NDArray[np.float64]
    """(len(clip_counts), C) class scores, one line for each number of clips"""
    right_views: float
    """Share of the views of the last number of clips that alone give the right class"""
    retimed_to: Fraction | None
    """Frames per second that the video was re-timed to"""
    retimed_scores: NDArray[np.float64] | None
    """(C,) scores from the last number of clips of the re-timed video"""


def check_labels(rows: Sequence[Row], *, labels: Sequence[str]) -> None:
    """Raise DatasetError unless every row's label is one of the model's ``labels``."""
    if strange := sorted({row.label for row in rows} - set(labels)):
        raise DatasetError(
            f"the model knows no {', '.join(strange)}; its classes are {', '.join(labels)}. "
            "Leave the others out with --where"
        )


def see(
    model: R2Plus1D,
    requests: Sequence[tuple[Row, Fraction | None]],
    *,
    spec: ClipSpec,
    labels: Sequence[str],
    looks: Looks,
    console: Console,
) -> tuple[tuple[Seen, ...], tuple[tuple[Row, VideoError], ...]]:
    """What ``model`` says of each row, and of the row re-timed to the rate that goes with it.

    Also the rows that cannot be read, and why. Raises DatasetError when none can.
    """
    seen: list[Seen] = []
    unreadable: list[tuple[Row, VideoError]] = []
    read = read_ahead(requests, partial(read_views, spec=spec, clip_counts=looks.clip_counts))
    with closing(read):
        watched = track(
            zip(requests, read, strict=True),
            description="watching",
            total=len(requests),
            console=console,
        )
        for (row, rate), (_, views) in watched:
            if isinstance(views, VideoError):
                unreadable.append((row, views))
                continue
            logits = _logits_of_views(model, views, spec=spec, looks=looks)
            seen.append(
                _judge(row, views, logits, rate=rate, label=labels.index(row.label), spec=spec)
            )
    if not seen:
        row, error = unreadable[0]
        raise DatasetError(f"none of {len(requests)} videos could be read; {row.name}: {error}")
    return tuple(seen), tuple(unreadable)


def _logits_of_views(
    model: R2Plus1D, views: VideoViews, *, spec: ClipSpec, looks: Looks
) -> list[NDArray[np.float32]]:
    """Logits (K * crops, C) for each number of clips, then of the re-timed video if any."""
    chosen = [*views.clips, *([] if views.retimed is None else [views.retimed])]
    clips = views.cropped(np.concatenate(chosen), crop=spec.crop, crops=looks.crops)
    ends = np.cumsum([len(one) * looks.crops for one in chosen])
    return np.split(clip_logits(model, clips, spec=spec), ends[:-1])


def _judge(
    row: Row,
    views: VideoViews,
    logits: Sequence[NDArray[np.float32]],
    *,
    rate: Fraction | None,
    label: int,
    spec: ClipSpec,
) -> Seen:
    scores = np.stack([video_scores(one, temperature=spec.temperature) for one in logits])
    asked = len(views.clips)
    return Seen(
        row=row,
        frame_rate=views.info.frame_rate,
        scores=scores[:asked],
        right_views=float((logits[asked - 1].argmax(1) == label).mean()),
        retimed_to=rate,
        retimed_scores=None if rate is None else scores[asked],
    )
