"""Logits of sliding windows -> what happens when: a label per window, and merged segments.

How windows become segments is our choice. Windows overlap, so each stands for the stretch of video
around its middle, up to half way to the middles of its neighbours; the first and the last reach to
the ends. A window has the label of its best class if the score reaches the bundle's abstain
threshold. Windows in a row with the same label are a segment, with hysteresis:

- Beside a segment, a window without a label belongs to it as long as the segment's class has at
  least half of the threshold there. The segment before comes first.
- A single window with another label does not interrupt a segment whose class has at least half of
  the threshold there.

So an action is not cut in two where the model wavers, and without a threshold (0) every moment
belongs to a segment.
"""

from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.clip import ClipSpec
from motionfit.inference.prediction import Scores, clip_scores
from motionfit.inference.sampling import MICROSECONDS, Times, clip_length_us

_STAY = 0.5  # of the abstain threshold


@dataclass(frozen=True, kw_only=True)
class Window:
    """What is seen in one window. Times are seconds from the video's first frame."""

    start_seconds: float
    end_seconds: float
    label: str | None
    """The best class, or None for "none of these": its score is under the abstain threshold."""
    score: float
    """Of the best class, 0 to 1, calibrated."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One action without a break. Times are seconds from the video's first frame."""

    start_seconds: float
    end_seconds: float
    label: str
    score: float
    """The mean of the class's scores in the segment's windows, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What happens when in a video."""

    stride_seconds: float
    windows: tuple[Window, ...]
    segments: tuple[Segment, ...]
    """In order; they do not overlap, and between them is nothing that the bundle knows."""


def default_stride_seconds(spec: ClipSpec) -> float:
    """Half a clip: every moment is seen by two windows."""
    return spec.clip_seconds / 2


def timeline(
    logits: NDArray[np.float32],
    *,
    starts_us: Times,
    duration_us: int,
    stride_seconds: float,
    spec: ClipSpec,
    labels: tuple[str, ...],
) -> Timeline:
    """The timeline of windows that start at ``starts_us`` (K,), ascending, and gave ``logits``
    (K, C). Nothing reaches past ``duration_us``.
    """
    scores = clip_scores(logits, temperature=spec.temperature)
    best = scores.argmax(axis=1)
    known = scores.max(axis=1) >= spec.abstain_threshold
    classes = [int(one) if sure else None for one, sure in zip(best, known, strict=True)]
    windows = tuple(
        Window(
            start_seconds=start_us / MICROSECONDS,
            end_seconds=min(duration_us, start_us + clip_length_us(spec)) / MICROSECONDS,
            label=None if one is None else labels[one],
            score=float(row.max()),
        )
        for start_us, one, row in zip(starts_us.tolist(), classes, scores, strict=True)
    )
    held = _with_hysteresis(classes, scores=scores, stay=spec.abstain_threshold * _STAY)
    return Timeline(
        stride_seconds=stride_seconds,
        windows=windows,
        segments=_segments(held, windows=windows, scores=scores, labels=labels),
    )


def _with_hysteresis(classes: list[int | None], *, scores: Scores, stay: float) -> list[int | None]:
    """The class of the segment that each window belongs to."""
    held = list(classes)
    for k in range(1, len(held) - 1):
        around = held[k - 1]
        if around is not None and around == classes[k + 1] and scores[k, around] >= stay:
            held[k] = around
    for order in (range(1, len(held)), range(len(held) - 2, -1, -1)):
        step = -order.step
        for k in order:
            beside = held[k + step]
            if held[k] is None and beside is not None and scores[k, beside] >= stay:
                held[k] = beside
    return held


def _segments(
    held: list[int | None],
    *,
    windows: tuple[Window, ...],
    scores: Scores,
    labels: tuple[str, ...],
) -> tuple[Segment, ...]:
    middles = [(window.start_seconds + window.end_seconds) / 2 for window in windows]
    borders = [(one + other) / 2 for one, other in zip(middles, middles[1:], strict=False)]
    edges = [windows[0].start_seconds, *borders, windows[-1].end_seconds]
    found = []
    for one, group in groupby(range(len(held)), key=held.__getitem__):
        places = list(group)
        if one is not None:
            segment = Segment(
                start_seconds=round(edges[places[0]], 6),
                end_seconds=round(edges[places[-1] + 1], 6),
                label=labels[one],
                score=float(scores[places, one].mean()),
            )
            found.append(segment)
    return tuple(found)
