"""Videos cut into segments, the pieces that get one pseudo-label each.

    clip         every grid clip alone
    video        the whole video
    tsn          equal parts of the video: temporal segment networks, Wang et al., ECCV 2016
    actionbytes  from one change of what is seen to the next: ActionBytes, Jain, Ghodrati and Snoek,
                 CVPR 2020

A segment has the grid clips whose middle lies in it. The paper on ActionBytes finds changes in
features of single frames; here they are the teacher's embeddings of the grid clips, and our rule
for a change is: the cosine distance between neighbouring clips is the largest of its surroundings
and above the mean of the video. The cut lies halfway between the middles of the two clips.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.sampling import Times
from motionfit.training.predictions import Predictions

Granularity = Literal["clip", "video", "tsn", "actionbytes"]

_NO_CHANGE = 1e-6  # of a cosine distance: float32 rounding

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Segments:
    """M segments, sorted by video and start, and which of the N clips each one has."""

    videos: tuple[str, ...]
    """(M,) names"""
    starts_us: Times
    """(M,) int64 microseconds from the first frame"""
    ends_us: Times
    """(M,) int64"""
    members: tuple[NDArray[np.int64], ...]
    """M arrays, none empty, of indices of clips"""

    def means(self, values: NDArray[np.floating]) -> Floats:
        """(M, K) float64: the mean over each segment's clips of values (N, K)."""
        return np.stack([values[clips].mean(axis=0, dtype=np.float64) for clips in self.members])


def cut(predictions: Predictions, *, granularity: Granularity, segments: int) -> Segments:
    """The segments of every video; ``segments`` is how many parts ``tsn`` makes of one.

    A video of fewer different clips than that is cut into so many parts as it has clips. A part
    without the middle of a clip is left out.
    """
    videos: list[str] = []
    spans: list[tuple[int, int]] = []
    members: list[NDArray[np.int64]] = []
    for clips in _clips_of_videos(predictions):
        for start, end, inside in _cut_video(
            predictions, clips, granularity=granularity, segments=segments
        ):
            videos.append(predictions.videos[clips[0]])
            spans.append((start, end))
            members.append(inside)
    bounds = np.array(spans, np.int64)
    return Segments(
        videos=tuple(videos), starts_us=bounds[:, 0], ends_us=bounds[:, 1], members=tuple(members)
    )


def changes(embeddings: NDArray[np.float32]) -> NDArray[np.int64]:
    """After which of a video's clips, in order, (K,) int64, something else begins.

    ``embeddings`` (G, D).
    """
    if len(embeddings) < 2:
        return np.array([], np.int64)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = embeddings / np.maximum(lengths, 1e-12)
    distances = 1 - (unit[:-1] * unit[1:]).sum(axis=1, dtype=np.float64)
    around = np.concatenate([[-np.inf], distances, [-np.inf]])
    peak = (distances > around[:-2]) & (distances >= around[2:])  # of equal ones the first
    return np.flatnonzero(peak & (distances > distances.mean() + _NO_CHANGE))


def _clips_of_videos(predictions: Predictions) -> Iterator[NDArray[np.int64]]:
    """For each video the indices of its clips, which lie together."""
    names = np.array(predictions.videos, object)
    begins = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    yield from np.split(np.arange(len(names), dtype=np.int64), begins[1:])


def _cut_video(
    predictions: Predictions,
    clips: NDArray[np.int64],
    *,
    granularity: Granularity,
    segments: int,
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Start, end and clips of each segment of the video that has the clips ``clips``."""
    starts, ends = predictions.starts_us[clips], predictions.ends_us[clips]
    if granularity == "clip":
        for index, clip in enumerate(clips):
            yield int(starts[index]), int(ends[index]), np.array([clip], np.int64)
        return
    middles = (starts + ends) // 2
    # The grid leaves as much of a video after its last clip as before its first.
    duration = int(starts[0] + ends[-1])
    match granularity:
        case "video":
            cuts = []
        case "tsn":
            parts = min(segments, len(clips))
            cuts = [duration * number // parts for number in range(1, parts)]
        case "actionbytes":
            after = changes(predictions.embeddings[clips])
            cuts = [int(middles[index] + middles[index + 1]) // 2 for index in after]
    part_of_clip = np.searchsorted(cuts, middles, side="right")
    for part, (start, end) in enumerate(pairwise([0, *cuts, duration])):
        inside = clips[part_of_clip == part]
        if len(inside):
            yield start, end, inside
