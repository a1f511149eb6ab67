"""How good pseudo-labels are: how many, how balanced, how sure, and how right.

How right is told where the true class is known, and apart for the videos that the teacher never
saw: on those it was trained on, or chosen by, its answers say nothing about others.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime
from sklearn.metrics import normalized_mutual_info_score  # type: ignore[import-untyped]
from sklearn.metrics.cluster import contingency_matrix  # type: ignore[import-untyped]

from motionfit.training.json_record import Record
from motionfit.training.labelling import entropy_nats
from motionfit.training.manifest import Row
from motionfit.training.pseudo_labels import PseudoLabels
from motionfit.training.scores import best_of_own
from motionfit.training.unlabelled import UNKNOWN
from motionfit.training.videos import Unreadable

SEEN_UNKNOWN = (
    "the teacher is not in a run folder that tells which videos it saw, so all are counted as seen"
)


class ClassCount(Record):
    """One class or cluster."""

    label: str
    pieces: int
    """Pieces of video of which it is the most probable class."""
    share: float
    """Of the sum of all targets, 0 to 1."""


class Agreement(Record):
    """Labels and true classes of some number of things, each 0 to 1."""

    count: int
    accuracy: float | None
    """Share of right labels; null for clusters."""
    purity: float
    """Share of the things that have the commonest true class of those with the same label."""
    nmi: float
    """Normalised mutual information, by the mean of both entropies."""


class RateAgreement(Record):
    """The videos of one native frame rate."""

    frame_rate: float
    """Frames per second, rounded to 0.01."""
    labels: tuple[str, ...]
    """The true classes of these videos."""
    videos: Agreement
    """Of whole videos of this rate, when only ``labels`` may be answered: knowing the rate is then
    no help. A hard label of another class is wrong. Clusters are compared within the rate alone."""


class Truth(Record):
    """What is known of some videos."""

    pieces: Agreement
    """Of single pieces of video."""
    videos: Agreement
    """Of whole videos, by the mean of the targets of their pieces."""
    per_frame_rate: tuple[RateAgreement, ...] = ()


class Quality(Record):
    """The report on one file of pseudo-labels."""

    created_utc: AwareDatetime
    command: str
    """Without the folders of the machine."""
    record: dict[str, Any]
    """What decided the labels."""
    videos: int
    """With at least one label."""
    all_videos: int
    """In the unlabelled data set, as far as they can be read."""
    pieces: int
    """With a label."""
    all_pieces: int
    """Before threshold and cap."""
    classes: tuple[ClassCount, ...]
    balance: float
    """Entropy of the mean target over that of equal shares: 1 is balanced, 0 one class alone."""
    mean_confidence: float
    mean_entropy: float | None
    """nats; null for clusters."""
    unseen: Truth | None
    """On videos that the teacher never saw; null when no true class is known."""
    seen: Truth | None
    """On videos that it was trained on or that it held out."""
    unreadable: tuple[str, ...]
    """Videos that were left out, and why."""
    warnings: tuple[str, ...]

    @property
    def kept_share(self) -> float:
        """Of all pieces, those with a label."""
        return self.pieces / self.all_pieces


def judge_labels(
    labels: PseudoLabels,
    rows: Sequence[Row],
    *,
    seen: frozenset[str] | None,
    frame_rates: Mapping[str, float],
    unreadable: Sequence[Unreadable],
    command: str,
) -> Quality:
    """The report on ``labels`` of the videos ``rows``, of which the teacher has ``seen`` some.

    ``seen`` None: nobody knows which. ``frame_rates``: frames per second of the videos whose true
    class is known, as far as their files state it.
    """
    shares = labels.targets.mean(axis=0, dtype=np.float64)
    counts = np.bincount(labels.best, minlength=len(labels.labels))
    clusters = labels.record["kind"] == "clusters"
    truth = true_classes(labels, rows)
    of_seen = {name: t for name, t in truth.items() if seen is None or name in seen}
    of_others = {name: t for name, t in truth.items() if name not in of_seen}
    return Quality(
        created_utc=datetime.now(UTC),
        command=command,
        record=labels.record,
        videos=len(set(labels.videos)),
        all_videos=len(rows) - len(unreadable),
        pieces=len(labels.videos),
        all_pieces=labels.record["pieces"],
        classes=tuple(
            ClassCount(label=label, pieces=int(count), share=float(share))
            for label, count, share in zip(labels.labels, counts, shares, strict=True)
        ),
        balance=float(entropy_nats(shares[None])[0] / np.log(len(shares)))
        if len(shares) > 1
        else 1.0,
        mean_confidence=float(labels.confidence.mean()),
        mean_entropy=None if clusters else float(labels.entropy.mean()),
        unseen=_truth(labels, of_others, frame_rates=frame_rates),
        seen=_truth(labels, of_seen, frame_rates=frame_rates),
        unreadable=tuple(f"{one.name}: {one.reason}" for one in unreadable),
        warnings=(SEEN_UNKNOWN,) if seen is None else (),
    )


def agreement(answers: NDArray[np.int64], truth: NDArray[np.int64], *, clusters: bool) -> Agreement:
    """Of labels (N,) and true classes (N,), N at least 1; equal numbers mean the same class unless
    the labels are clusters.
    """
    table = contingency_matrix(truth, answers)
    return Agreement(
        count=len(truth),
        accuracy=None if clusters else float((answers == truth).mean()),
        purity=float(table.max(axis=0).sum() / len(truth)),
        nmi=float(normalized_mutual_info_score(truth, answers)),
    )


def true_classes(labels: PseudoLabels, rows: Sequence[Row]) -> Mapping[str, str]:
    """The class of each video of which one is known that the teacher knows; for clusters, which
    have nothing to do with the teacher's classes, of each that has any.
    """
    clusters = labels.record["kind"] == "clusters"
    known = {row.label for row in rows} if clusters else set(labels.record["teacher_labels"])
    return {row.name: row.label for row in rows if row.label in known - {UNKNOWN}}


def _truth(
    labels: PseudoLabels, truth: Mapping[str, str], *, frame_rates: Mapping[str, float]
) -> Truth | None:
    """How right the labels of the videos in ``truth`` are; None when they have none."""
    pieces: dict[str, list[int]] = defaultdict(list)
    for piece, video in enumerate(labels.videos):
        if video in truth:
            pieces[video].append(piece)
    if not pieces:
        return None
    clusters = labels.record["kind"] == "clusters"
    names = sorted(set(truth.values())) if clusters else labels.record["teacher_labels"]
    classes = np.array([names.index(truth[video]) for video in pieces], np.int64)
    own = list(pieces.values())
    flat = np.concatenate(own)
    targets = np.stack([labels.targets[places].mean(axis=0, dtype=np.float64) for places in own])
    rates = np.array([round(frame_rates.get(video, 0.0), 2) for video in pieces])
    return Truth(
        pieces=agreement(
            labels.best[flat], np.repeat(classes, list(map(len, own))), clusters=clusters
        ),
        videos=agreement(targets.argmax(axis=1), classes, clusters=clusters),
        per_frame_rate=tuple(
            _within(
                targets[rates == rate],
                classes[rates == rate],
                frame_rate=float(rate),
                names=names,
                clusters=clusters,
            )
            for rate in sorted(set(rates) - {0.0})
        ),
    )


def _within(
    targets: NDArray[np.float64],
    classes: NDArray[np.int64],
    *,
    frame_rate: float,
    names: Sequence[str],
    clusters: bool,
) -> RateAgreement:
    """Of the videos of one rate: targets (N, labels), classes (N,) numbers of ``names``."""
    if clusters:
        own, best = np.unique(classes), targets.argmax(axis=1)
    else:
        own, best = best_of_own(targets, true=classes)
        # A hard label of another rate's class has no second choice.
        best[targets[:, own].max(axis=1) == 0] = -1
    return RateAgreement(
        frame_rate=frame_rate,
        labels=tuple(names[number] for number in own),
        videos=agreement(best, classes, clusters=clusters),
    )
