"""Logits of several clips -> one answer for the video."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.clip import ClipSpec

Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """A class and its calibrated score, 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer for one video."""

    label: str | None
    """The best class, or None for "none of these": no score reached the abstain threshold."""
    top: tuple[ClassScore, ...]
    """The best classes, best first."""


def clip_scores(logits: NDArray[np.float32], *, temperature: float) -> Scores:
    """Class scores (K, C) of each clip: softmax(logits / temperature) of ``logits`` (K, C)."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    probabilities = np.exp(scaled)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return np.asarray(probabilities)


def video_scores(logits: NDArray[np.float32], *, temperature: float) -> Scores:
    """Class scores (C,) of a video: the mean over its clips of their scores.

    ``logits`` is (K, C) float32. Taking the mean of probabilities, not of logits, is our choice.
    """
    return np.asarray(clip_scores(logits, temperature=temperature).mean(axis=0))


def predict(
    logits: NDArray[np.float32], *, spec: ClipSpec, labels: tuple[str, ...], top: int
) -> Prediction:
    """The answer for a video whose clips gave ``logits`` (K, C) float32: its ``top`` best classes.

    Classes with equal scores come in the order of ``labels``. Raises ValueError when ``top`` is
    less than 1; when there are fewer classes, all are named.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")
    scores = video_scores(logits, temperature=spec.temperature)
    order = np.argsort(-scores, kind="stable")
    best = tuple(ClassScore(label=labels[i], score=float(scores[i])) for i in order[:top])
    known = best[0].score >= spec.abstain_threshold
    return Prediction(label=best[0].label if known else None, top=best)


def video_embedding(embeddings: NDArray[np.float32]) -> tuple[float, ...]:
    """The embedding of a video whose clips gave ``embeddings`` (K, D): their mean, scaled to the
    length 1, so that the dot product of two videos is their cosine. Both are our choice.
    """
    mean = embeddings.astype(np.float64).mean(axis=0)
    length = float(np.linalg.norm(mean))
    return tuple((mean / length if length else mean).tolist())
