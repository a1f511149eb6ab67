"""Does a network read the cadence? Its answers for videos as stored, against re-timed ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motionfit.training.json_record import Estimate, Record
from motionfit.training.scores import weighted_mean
from motionfit.training.watching import Seen

# Fewer may all fall by chance, and resampling them would never show it.
LEAST_CLUSTERS = 10

Floats = NDArray[np.float64]


class RateChange(Record):
    """The videos of one frame rate that were re-timed to another."""

    from_rate: float | None
    """Frames per second, rounded to 0.01; null where the files do not say."""
    to_rate: float
    """Frames per second, rounded to 0.01."""
    videos: int
    top1: Estimate
    """As stored."""
    retimed_top1: Estimate
    difference: Estimate
    """Re-timed minus stored, video by video."""


class ChangedAnswer(Record):
    """A video whose best class depends on the frame rate it is stored at."""

    video: str
    label: str
    best: str
    retimed_best: str


class Cadence(Record):
    """Accuracy on videos as stored, and re-timed: as long, frames doubled or dropped."""

    videos: int
    """Those that were re-timed."""
    clusters: int
    """What the intervals draw with replacement."""
    top1: Estimate
    """As stored."""
    retimed_top1: Estimate
    difference: Estimate
    """Re-timed minus stored, video by video."""
    reads_cadence: bool | None
    """Whether top-1 falls by more than noise, which shows that the network reads the cadence; null
    with fewer than 10 clusters, which do not allow it to be said."""
    changes: tuple[RateChange, ...]
    changed: tuple[ChangedAnswer, ...]


def judge_cadence(
    seen: Sequence[Seen], *, labels: Sequence[str], clusters: NDArray[np.int64], seed: int
) -> Cadence:
    """Compare the answers for re-timed videos, at least one, with those for the same as stored."""
    pairs = [
        (one, cluster, int(one.scores[-1].argmax()), int(one.retimed_scores.argmax()))
        for one, cluster in zip(seen, clusters, strict=True)
        if one.retimed_scores is not None
    ]
    watched = [one for one, *_ in pairs]
    members = np.unique([cluster for _, cluster, *_ in pairs], return_inverse=True)[1]
    true = [labels.index(one.row.label) for one in watched]
    stored = np.array([best == t for t, (_, _, best, _) in zip(true, pairs, strict=True)], float)
    retimed = np.array([best == t for t, (_, _, _, best) in zip(true, pairs, strict=True)], float)
    estimates = _estimates(stored, retimed, clusters=members, seed=seed)
    count = int(members.max()) + 1
    return Cadence(
        videos=len(watched),
        clusters=count,
        **estimates,
        reads_cadence=estimates["difference"].high < 0 if count >= LEAST_CLUSTERS else None,
        changes=_changes(watched, stored, retimed, clusters=members, seed=seed),
        changed=tuple(
            ChangedAnswer(
                video=one.row.name,
                label=one.row.label,
                best=labels[before],
                retimed_best=labels[after],
            )
            for one, _, before, after in pairs
            if before != after
        ),
    )


def verdict(cadence: Cadence) -> str:
    """What the comparison shows, in a sentence."""
    change = cadence.difference
    interval = f"{_points(change.value)} points ({_points(change.low)} to {_points(change.high)})"
    if cadence.reads_cadence is None:
        return (
            f"re-timed, top-1 changes by {interval}; {cadence.clusters} independent videos or "
            f"groups are too few to say whether the network reads the cadence "
            f"({LEAST_CLUSTERS} are needed)"
        )
    if cadence.reads_cadence:
        return (
            f"the network reads the cadence: top-1 changes by {interval} on videos re-timed to "
            "another frame rate; train with a larger --rate-jitter or with classes at mixed rates"
        )
    return f"no sign that the network reads the cadence: re-timed, top-1 changes by {interval}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _changes(
    seen: Sequence[Seen],
    stored: Floats,
    retimed: Floats,
    *,
    clusters: NDArray[np.int64],
    seed: int,
) -> tuple[RateChange, ...]:
    keys = [(round(one.frame_rate or 0, 2), round(float(one.retimed_to or 0), 2)) for one in seen]
    changes = []
    for key in sorted(set(keys)):
        chosen = np.array([one == key for one in keys])
        members = np.unique(clusters[chosen], return_inverse=True)[1]
        changes.append(
            RateChange(
                from_rate=key[0] or None,
                to_rate=key[1],
                videos=int(chosen.sum()),
                **_estimates(stored[chosen], retimed[chosen], clusters=members, seed=seed),
            )
        )
    return tuple(changes)


def _estimates(
    stored: Floats, retimed: Floats, *, clusters: NDArray[np.int64], seed: int
) -> dict[str, Estimate]:
    return {
        "top1": weighted_mean(stored, clusters=clusters, seed=seed),
        "retimed_top1": weighted_mean(retimed, clusters=clusters, seed=seed),
        "difference": weighted_mean(retimed - stored, clusters=clusters, seed=seed),
    }
