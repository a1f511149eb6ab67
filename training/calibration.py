"""From logits of held-out videos: a temperature that makes scores honest, a threshold to abstain.

The score is the one that serving gives: the mean over a video's clips of softmax(logits / T).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.prediction import video_scores

KEPT_SHARE = 0.95
BINS = 15
LOWEST, HIGHEST = 0.05, 20.0

Logits = NDArray[np.float32]  # (V, K, classes): V videos, K clips of each
Labels = NDArray[np.int64]  # (V,)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted on held-out videos, and what it did to them."""

    temperature: float
    abstain_threshold: float
    """The highest one that keeps at least 95 % of the videos that were answered right."""
    answered_wrong_share: float
    """Share of the wrongly answered videos whose best score still reaches the threshold."""
    ece_before: float
    """Expected calibration error, 15 bins of equal width, at temperature 1."""
    ece_after: float
    nll_before: float
    nll_after: float


def calibrate(logits: Logits, labels: Labels) -> Calibration:
    """Fit temperature and threshold to held-out videos: ``logits`` (V, K, C), ``labels`` (V,)."""
    temperature = fit_temperature(logits, labels)
    before, after = scores_of(logits, temperature=1.0), scores_of(logits, temperature=temperature)
    threshold = abstain_threshold(after, labels)
    wrong = after[after.argmax(1) != labels].max(axis=1, initial=0.0)
    return Calibration(
        temperature=temperature,
        abstain_threshold=threshold,
        answered_wrong_share=float((wrong >= threshold).mean()) if len(wrong) else 0.0,
        ece_before=expected_calibration_error(before, labels),
        ece_after=expected_calibration_error(after, labels),
        nll_before=_nll(before, labels),
        nll_after=_nll(after, labels),
    )


def scores_of(logits: Logits, *, temperature: float) -> NDArray[np.float64]:
    """Scores (V, C) of videos from the logits (V, K, C) of their clips."""
    return np.stack([video_scores(one, temperature=temperature) for one in logits])


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """The temperature, 0.05 to 20, under which the right classes are likeliest."""
    low, high = LOWEST, HIGHEST
    best = 1.0
    # Each round searches 21 values between the neighbours of the last best one: the likelihood
    # need not have a single peak, so the first round looks everywhere.
    for _ in range(4):
        candidates = np.geomspace(low, high, 21)
        losses = [_nll(scores_of(logits, temperature=float(t)), labels) for t in candidates]
        place = int(np.argmin(losses))
        best = float(candidates[place])
        low, high = candidates[max(0, place - 1)], candidates[min(20, place + 1)]
    return round(best, 4)


def abstain_threshold(scores: NDArray[np.float64], labels: Labels) -> float:
    """The highest threshold that keeps 95 % of the videos answered right; 0 if none was."""
    right = np.sort(scores.max(axis=1)[scores.argmax(1) == labels])
    if not len(right):
        return 0.0
    lost = int((1 - KEPT_SHARE) * len(right) + 1e-9)
    return float(np.floor(right[lost] * 1e4) / 1e4)


def expected_calibration_error(scores: NDArray[np.float64], labels: Labels) -> float:
    """Mean distance of confidence from accuracy over 15 equal bins, weighted by their videos."""
    confidence, right = scores.max(axis=1), scores.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in np.unique(bins)]
    return float(sum(gaps) / len(labels))


def _nll(scores: NDArray[np.float64], labels: Labels) -> float:
    right = scores[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(right, 1e-12)).mean())
