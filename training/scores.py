"""Class scores of labelled videos -> accuracy, calibration, and how far both can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionfit.training.calibration import calibration_error
from motionfit.training.json_record import Estimate, Record
from motionfit.training.resampling import clustered, rounded

LEAST_PROBABILITY = 1e-12

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A labelled video and what the model says of it."""

    video: str
    label: str
    group: str | None
    """Videos of one group and label are look-alikes: they are resampled together."""
    frame_rate: float | None
    """Frames per second of the file."""
    scores: Floats
    """(C,) calibrated class scores; they add up to 1."""
    answered: bool
    """False when the answer was "none of these"."""


class Outcome(Record):
    """What became of one labelled video."""

    video: str
    label: str
    group: str | None
    frame_rate: float | None
    best: str
    """The class with the best score, also where it is under the abstain threshold."""
    score: float
    answered: bool
    """False when the answer was "none of these"."""
    rank: int
    """Place of the true class, 0 the best."""
    nll: float
    """Minus the logarithm of the true class's score."""


class Unreadable(Record):
    """A video that gave no answer. It is in no other figure."""

    video: str
    code: str
    reason: str


class ClassAccuracy(Record):
    """One class."""

    label: str
    videos: int
    top1: float


class RateAccuracy(Record):
    """The videos of one native frame rate."""

    frame_rate: float
    """Frames per second, rounded to 0.01."""
    videos: int
    labels: tuple[str, ...]
    """The classes that have videos of this rate."""
    top1: Estimate
    top1_among_labels: Estimate
    """Share right when only ``labels`` may be answered: knowing the rate is then no help."""


class UnknownVideos(Record):
    """Videos that show none of the classes."""

    videos: int
    none_of_these: Estimate
    """Share answered "none of these", which is right; interval over videos."""
    unreadable: tuple[Unreadable, ...]


class Accuracy(Record):
    """Accuracy of one bundle on one set of videos. Shares are 0 to 1, intervals 95 %."""

    dataset: str
    videos: int
    """Labelled videos that could be read."""
    resampled_by: Literal["group and label", "video"]
    """What the intervals draw with replacement."""
    clusters: int
    """How many of those there are."""
    top1: Estimate
    top5: Estimate | None
    """null with five classes or fewer, where it says nothing."""
    nll: Estimate
    """Mean over videos; natural logarithm."""
    ece: float
    """Expected calibration error of the best score, 15 bins of equal width."""
    answered: Estimate
    """Share not answered "none of these"."""
    accuracy_of_answered: Estimate | None
    """null when none was answered."""
    per_class: tuple[ClassAccuracy, ...]
    per_frame_rate: tuple[RateAccuracy, ...]
    unreadable: tuple[Unreadable, ...]
    unknown: UnknownVideos | None
    """null when no videos of unknown classes were given."""
    outcomes: tuple[Outcome, ...]


def judge(
    scored: Sequence[Scored],
    *,
    dataset: str,
    labels: tuple[str, ...],
    unreadable: Sequence[Unreadable],
    unknown: UnknownVideos | None,
    seed: int,
) -> Accuracy:
    """Accuracy over at least one video; every label must be one of ``labels``."""
    outcomes = tuple(_outcome(video, labels=labels) for video in scored)
    right = np.array([o.rank == 0 for o in outcomes], np.float64)
    answered = np.array([o.answered for o in outcomes], np.float64)
    clusters = cluster_numbers(outcomes)
    grouped = all(o.group is not None for o in outcomes)

    def mean(values: Floats, weights: Floats | None = None) -> Estimate:
        return weighted_mean(values, weights=weights, clusters=clusters, seed=seed)

    return Accuracy(
        dataset=dataset,
        videos=len(outcomes),
        resampled_by="group and label" if grouped else "video",
        clusters=int(clusters.max()) + 1,
        top1=mean(right),
        top5=mean(np.array([o.rank < 5 for o in outcomes], np.float64))
        if len(labels) > 5
        else None,
        nll=mean(np.array([o.nll for o in outcomes])),
        ece=rounded(calibration_error(np.array([o.score for o in outcomes]), right=right)),
        answered=mean(answered),
        accuracy_of_answered=mean(right, answered) if answered.any() else None,
        per_class=_per_class(outcomes),
        per_frame_rate=_per_frame_rate(scored, labels=labels, clusters=clusters, seed=seed),
        unreadable=tuple(unreadable),
        unknown=unknown,
        outcomes=outcomes,
    )


def judge_unknown(
    answered: Sequence[bool], *, unreadable: Sequence[Unreadable], seed: int
) -> UnknownVideos:
    """What at least one video of no known class got: ``answered`` with a class, or not."""
    rejected = 1.0 - np.asarray(answered, np.float64)
    return UnknownVideos(
        videos=len(rejected),
        none_of_these=weighted_mean(rejected, clusters=np.arange(len(rejected)), seed=seed),
        unreadable=tuple(unreadable),
    )


def cluster_numbers(outcomes: Sequence[Outcome]) -> NDArray[np.int64]:
    """Which cluster, from 0, each video is drawn with: its group and label, or itself."""
    keys = [(o.label, o.group) if o.group is not None else (o.video, None) for o in outcomes]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.int64)


def best_of_own(
    scores: Floats, *, true: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes (K,) that videos (N,) are of, and which of these has the best of their ``scores``
    (N, C): what they are taken for when no other may be answered.
    """
    own = np.unique(true)
    return own, own[scores[:, own].argmax(axis=1)]


def weighted_mean(
    values: Floats, *, clusters: NDArray[np.int64], seed: int, weights: Floats | None = None
) -> Estimate:
    """Weighted mean of ``values`` (V,), its interval by resampling ``clusters`` (V,)."""
    weight = np.ones(len(values)) if weights is None else weights
    totals = np.bincount(clusters, weights=values * weight)
    counts = np.bincount(clusters, weights=weight)

    def statistic(draws: Floats) -> Floats:
        above, below = draws @ totals, draws @ counts
        undefined = np.full(len(below), np.nan)
        return np.asarray(np.divide(above, below, out=undefined, where=below > 0))

    return clustered(statistic, clusters=len(counts), seed=seed)


def _outcome(video: Scored, *, labels: tuple[str, ...]) -> Outcome:
    true = labels.index(video.label)
    order = np.argsort(-video.scores, kind="stable")
    best = float(video.scores[order[0]])
    return Outcome(
        video=video.video,
        label=video.label,
        group=video.group,
        frame_rate=video.frame_rate,
        best=labels[order[0]],
        score=rounded(best),
        answered=video.answered,
        rank=int(np.flatnonzero(order == true)[0]),
        nll=rounded(-np.log(max(video.scores[true], LEAST_PROBABILITY))),
    )


def _per_class(outcomes: Sequence[Outcome]) -> tuple[ClassAccuracy, ...]:
    ranks: dict[str, list[int]] = {}
    for outcome in outcomes:
        ranks.setdefault(outcome.label, []).append(outcome.rank)
    return tuple(
        ClassAccuracy(label=label, videos=len(r), top1=rounded(r.count(0) / len(r)))
        for label, r in sorted(ranks.items())
    )


def _per_frame_rate(
    scored: Sequence[Scored],
    *,
    labels: tuple[str, ...],
    clusters: NDArray[np.int64],
    seed: int,
) -> tuple[RateAccuracy, ...]:
    scores = np.stack([video.scores for video in scored])
    true = np.array([labels.index(video.label) for video in scored])
    rates = np.array([round(video.frame_rate or 0, 2) for video in scored])
    parts = []
    for rate in sorted(set(rates) - {0}):
        chosen = rates == rate
        own, among = best_of_own(scores[chosen], true=true[chosen])
        members = np.unique(clusters[chosen], return_inverse=True)[1]
        right = [scores[chosen].argmax(axis=1) == true[chosen], among == true[chosen]]
        top1, among_own = (
            weighted_mean(r.astype(np.float64), clusters=members, seed=seed) for r in right
        )
        parts.append(
            RateAccuracy(
                frame_rate=float(rate),
                videos=int(chosen.sum()),
                labels=tuple(labels[i] for i in own),
                top1=top1,
                top1_among_labels=among_own,
            )
        )
    return tuple(parts)
