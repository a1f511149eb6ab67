"""From logits of held-out videos: a temperature that makes scores honest, a threshold to abstain.

The score is the one that serving gives: the mean over a video's clips of softmax(logits / T).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.prediction import video_scores

# Of the answers given (not withheld as "none of these"), so many should be right: our choice.
ANSWERED_RIGHT = 0.75
BINS = 15
LOWEST, HIGHEST = 0.05, 20.0
# Where all of a few held-out videos are right, the likeliest temperature is 0, which would make
# every score 100 %. It is not taken below this: our choice.
SHARPEST = 0.25

Logits = NDArray[np.float32]  # (V, K, classes): V videos, K clips of each
Labels = NDArray[np.int64]  # (V,)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted on held-out videos, and what it did to them."""

    temperature: float
    abstain_threshold: float
    """The lowest one over which at least 75 % of the answers are right."""
    answered_share: float
    """Share of the videos whose best score reaches the threshold."""
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
    return Calibration(
        temperature=temperature,
        abstain_threshold=threshold,
        answered_share=float((after.max(axis=1) >= threshold).mean()),
        ece_before=expected_calibration_error(before, labels),
        ece_after=expected_calibration_error(after, labels),
        nll_before=_nll(before, labels),
        nll_after=_nll(after, labels),
    )


def scores_of(logits: Logits, *, temperature: float) -> NDArray[np.float64]:
    """Scores (V, C) of videos from the logits (V, K, C) of their clips."""
    return np.stack([video_scores(one, temperature=temperature) for one in logits])


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """The temperature, 0.25 to 20, under which the right classes are likeliest."""
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
    return round(max(best, SHARPEST), 4)


def abstain_threshold(scores: NDArray[np.float64], labels: Labels) -> float:
    """The lowest threshold over which 75 % of the answers are right.

    0, so that nothing is withheld, where that holds of all answers or cannot be had.
    """
    confidence = np.floor(scores.max(axis=1) * 1e4) / 1e4  # as the threshold is kept
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum((scores.argmax(1) == labels)[order])
    lowest = np.append(np.diff(confidence[order]) < 0, True)  # a threshold divides no equal ones
    enough = np.flatnonzero(lowest & (right >= ANSWERED_RIGHT * np.arange(1, len(labels) + 1)))
    if not len(enough) or enough[-1] == len(labels) - 1:
        return 0.0
    return float(confidence[order[enough[-1]]])


def expected_calibration_error(scores: NDArray[np.float64], labels: Labels) -> float:
    """The calibration error of the best of the scores (V, C) for ``labels`` (V,)."""
    right = (scores.argmax(1) == labels).astype(np.float64)
    return calibration_error(scores.max(axis=1), right=right)


def calibration_error(confidence: NDArray[np.float64], *, right: NDArray[np.float64]) -> float:
    """Expected calibration error: mean over videos of |share right - mean confidence| of their bin.

    15 bins of equal width; ``confidence`` (V,) from 0 to 1, ``right`` (V,) 0 or 1.
    """
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    surplus = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(surplus).sum() / len(confidence))


def _nll(scores: NDArray[np.float64], labels: Labels) -> float:
    right = scores[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(right, 1e-12)).mean())
