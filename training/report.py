"""The report of an evaluation: which model, which videos, how looked at, what came out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, Field

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import VideoError
from motionfit.training import scores
from motionfit.training.cadence import Cadence, judge_cadence
from motionfit.training.json_record import Estimate, Record
from motionfit.training.manifest import Row
from motionfit.training.scores import Accuracy, Outcome, Scored, Unreadable, cluster_numbers
from motionfit.training.watching import Looks, Seen

FORMAT: Final = 1
SHA256 = r"^[0-9a-f]{64}$"


class Model(Record):
    """The checkpoint that was evaluated."""

    name: str
    """Of its run folder."""
    sha256: str = Field(pattern=SHA256)
    """Of the checkpoint file."""
    labels: tuple[str, ...]
    recipe: dict[str, Any] | None
    """How it was trained, whatever the videos; null when the checkpoint does not say."""
    clip: dict[str, Any]
    """Its ClipSpec, with score temperature and abstain threshold."""
    calibrated_on: str
    """Where temperature and threshold come from. An evaluation never fits them."""


class Data(Record):
    """The videos that were evaluated on."""

    name: str
    where: tuple[str, ...]
    """How they were chosen, column=value[,value]."""
    videos: int
    """Unreadable ones included."""
    sha256: str = Field(pattern=SHA256)
    """Over names, labels and file sizes."""


class Settings(Record):
    """How the videos were looked at."""

    clips: int
    """Clips of a video."""
    crops: int
    """Crops of each clip: 1 in the centre, or 3 along the long side."""
    seed: int
    """Of resampling."""


class ClipCount(Record):
    """Accuracy with another number of clips, spread as serving would spread so many."""

    clips: int
    top1: Estimate


class Confusion(Record):
    """How often which class was answered for which."""

    labels: tuple[str, ...]
    """The classes that occur, as truth or as answer."""
    counts: tuple[tuple[int, ...], ...]
    """Videos: true classes down, best classes across."""


class Report(Record):
    """Everything about one evaluation. Shares are 0 to 1, intervals 95 %."""

    format: Literal[1] = FORMAT
    command: str
    created_utc: AwareDatetime
    git_revision: str | None
    libraries: dict[str, str]
    device: str
    """What computed it."""
    model: Model
    data: Data
    settings: Settings
    accuracy: Accuracy
    view_top1: Estimate
    """Share of single views (one crop of one clip) whose best class is the right one."""
    per_clip_count: tuple[ClipCount, ...]
    confusion: Confusion
    cadence: Cadence | None
    """Against the same videos re-timed to another frame rate; null when none was."""
    warnings: tuple[str, ...]
    """Why the figures may say less than they seem to."""


def report_of(
    seen: Sequence[Seen],
    unreadable: Sequence[tuple[Row, VideoError]],
    *,
    model: Model,
    data: Data,
    looks: Looks,
    seed: int,
    warnings: Sequence[str],
    origin: Mapping[str, Any],
) -> Report:
    """The report on at least one video; ``origin`` is command, revision, libraries and device."""
    spec = ClipSpec.from_json(model.clip)
    accuracy = scores.judge(
        [_scored(one, threshold=spec.abstain_threshold) for one in seen],
        dataset=data.name,
        labels=model.labels,
        unreadable=[
            Unreadable(video=row.name, code=error.code, reason=str(error))
            for row, error in unreadable
        ],
        unknown=None,
        seed=seed,
    )
    clusters = cluster_numbers(accuracy.outcomes)

    def mean(values: NDArray[np.float64]) -> Estimate:
        return scores.weighted_mean(values, clusters=clusters, seed=seed)

    true = np.array([model.labels.index(one.row.label) for one in seen])
    best = np.stack([one.scores.argmax(axis=1) for one in seen], axis=1)  # (clip counts, V)
    return Report(
        created_utc=datetime.now(UTC),
        model=model,
        data=data,
        settings=Settings(clips=looks.clip_counts[-1], crops=looks.crops, seed=seed),
        accuracy=accuracy,
        view_top1=mean(np.array([one.right_views for one in seen])),
        per_clip_count=tuple(
            ClipCount(clips=count, top1=mean((line == true).astype(np.float64)))
            for count, line in zip(looks.clip_counts, best, strict=True)
        ),
        confusion=_confusion(accuracy.outcomes),
        cadence=judge_cadence(seen, labels=model.labels, clusters=clusters, seed=seed)
        if any(one.retimed_to for one in seen)
        else None,
        warnings=tuple(warnings),
        **origin,
    )


def _scored(one: Seen, *, threshold: float) -> Scored:
    final = one.scores[-1]
    return Scored(
        video=one.row.name,
        label=one.row.label,
        group=one.row.columns.get("group") or None,
        frame_rate=one.frame_rate,
        scores=final,
        answered=bool(final.max() >= threshold),
    )


def _confusion(outcomes: Sequence[Outcome]) -> Confusion:
    pairs = Counter((outcome.label, outcome.best) for outcome in outcomes)
    labels = tuple(sorted({label for pair in pairs for label in pair}))
    counts = tuple(tuple(pairs[true, best] for best in labels) for true in labels)
    return Confusion(labels=labels, counts=counts)
