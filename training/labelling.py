"""A teacher's predictions -> pseudo-labels: soft or hard classes, or clusters."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.errors import DatasetError
from motionfit.training.clusters import clustered, unit_length
from motionfit.training.config import ConfigError
from motionfit.training.predictions import Predictions
from motionfit.training.pseudo_labels import PseudoLabels
from motionfit.training.segments import Granularity, Segments, cut

Kind = Literal["soft", "hard", "clusters"]


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """How predictions become labels. Raises ConfigError when a value is out of its range."""

    kind: Kind = "soft"
    """Class probabilities, the most probable class, or clusters of the embeddings"""
    temperature: float = 1.0
    """Logits are divided by it before the softmax; above 0"""
    clusters: int | None = None
    """How many, at least 2; None: as many as the teacher has classes"""
    granularity: Granularity = "clip"
    """What gets a label of its own: see ``segments``"""
    segments: int = 3
    """Parts of a video with granularity tsn, at least 1"""
    threshold: float = 0.0
    """The lowest confidence that is kept, 0 to 1"""
    per_class: int | None = None
    """At most so many pieces of a class, the most confident ones; None: all"""
    seed: int = 0
    """Of the clusters"""

    def __post_init__(self) -> None:
        _check_choice("kind", self.kind, get_args(Kind))
        _check_choice("granularity", self.granularity, get_args(Granularity))
        _check_range("temperature", self.temperature, 0.01, 100)
        _check_range("clusters", self.clusters or 2, 2, 1_000_000)
        _check_range("segments", self.segments, 1, 64)
        _check_range("threshold", self.threshold, 0, 1)
        _check_range("per_class", 1 if self.per_class is None else self.per_class, 1, 10**9)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """M pieces of video and what they are taken for."""

    targets: NDArray[np.float32]
    """(M, C)"""
    confidence: NDArray[np.float32]
    entropy: NDArray[np.float32]
    labels: tuple[str, ...]


def make_labels(predictions: Predictions, *, options: LabelOptions) -> PseudoLabels:
    """The pseudo-labels that ``options`` ask for. Raises DatasetError when none is left."""
    pieces = cut(predictions, granularity=options.granularity, segments=options.segments)
    judge = _judged_by_cluster if options.kind == "clusters" else _judged_by_class
    judged = judge(predictions, pieces, options)
    kept = chosen(
        judged.targets.argmax(axis=1),
        judged.confidence,
        threshold=options.threshold,
        per_class=options.per_class,
    )
    if not len(kept):
        raise DatasetError(
            f"no pseudo-label is as confident as the threshold {options.threshold:g}; the most "
            f"confident one has {judged.confidence.max():.3f}: give a lower threshold (a whole run "
            "goes on with the one in its config.toml)"
        )
    return PseudoLabels(
        videos=tuple(pieces.videos[piece] for piece in kept),
        starts_us=pieces.starts_us[kept],
        ends_us=pieces.ends_us[kept],
        targets=judged.targets[kept],
        confidence=judged.confidence[kept],
        entropy=judged.entropy[kept],
        labels=judged.labels,
        spec=predictions.about.spec,
        record=_record(predictions, options, pieces=len(pieces.videos), judged=judged),
    )


def chosen(
    classes: NDArray[np.integer[Any]],
    confidence: NDArray[np.float32],
    *,
    threshold: float,
    per_class: int | None,
) -> NDArray[np.int64]:
    """Which of M pieces are kept, ascending: those as confident as ``threshold``, and of these the
    ``per_class`` most confident ones of each class; of equal ones the first.
    """
    confident = np.flatnonzero(confidence >= np.float32(threshold))
    if per_class is None:
        return confident
    kept: list[int] = []
    for label in np.unique(classes[confident]):
        own = confident[classes[confident] == label]
        kept += own[np.argsort(-confidence[own], kind="stable")][:per_class].tolist()
    return np.array(sorted(kept), np.int64)


def softmax(logits: NDArray[np.float32], *, temperature: float) -> NDArray[np.float64]:
    """Class probabilities (N, C) float64 of logits (N, C)."""
    scaled = logits.astype(np.float64) / temperature
    grown = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def entropy_nats(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) entropies of probabilities (M, C); impossible classes add nothing."""
    logs = np.log(probabilities, where=probabilities > 0, out=np.zeros_like(probabilities))
    return np.asarray(-(probabilities * logs).sum(axis=1))


def _judged_by_class(predictions: Predictions, pieces: Segments, options: LabelOptions) -> _Judged:
    of_clips = softmax(predictions.logits, temperature=options.temperature)
    means = pieces.means(of_clips)
    soft = means.astype(np.float32)
    hard = np.eye(soft.shape[1], dtype=np.float32)[soft.argmax(axis=1)]
    return _Judged(
        targets=soft if options.kind == "soft" else hard,
        confidence=soft.max(axis=1),
        entropy=entropy_nats(means).astype(np.float32),
        labels=predictions.about.labels,
    )


def _judged_by_cluster(
    predictions: Predictions, pieces: Segments, options: LabelOptions
) -> _Judged:
    count = options.clusters or len(predictions.about.labels)
    features = pieces.means(unit_length(predictions.embeddings))
    found = clustered(features, clusters=count, seed=options.seed)
    return _Judged(
        targets=np.eye(count, dtype=np.float32)[found.assigned],
        confidence=found.cosine,
        entropy=np.zeros(len(found.assigned), np.float32),
        labels=tuple(f"cluster-{number:03d}" for number in range(count)),
    )


def _record(
    predictions: Predictions, options: LabelOptions, *, pieces: int, judged: _Judged
) -> dict[str, Any]:
    about = predictions.about
    return {
        **asdict(options),
        "clusters": len(judged.labels) if options.kind == "clusters" else None,
        "pieces": pieces,
        "teacher": about.teacher,
        "teacher_labels": list(about.labels),
        "flow": None if about.flow is None else about.flow.to_json(),
        "grid_clips": about.grid_clips,
        "data": about.videos,
    }


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is one of {', '.join(allowed)}, got {value!r}")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} must be from {low:g} to {high:g}, got {value!r}")
