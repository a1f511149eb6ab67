"""The flow of a video's clips as one writes it in a few lines of OpenCV: what ours is timed beside.

It takes frames to be evenly spaced, looks for no copies among them, computes fields that clips
share once for each, and keeps nothing.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from motionfit.training.flow_spec import FlowSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenCvFlow:
    """The flow of one video."""

    fields: NDArray[np.float32]
    """(G * T, h, w, 2) pixels at the spec's short side, in its gap"""
    pairs: tuple[tuple[int, int], ...]
    """For each field, the frames from which and to which it is."""


def opencv_flow(path: Path, *, spec: FlowSpec) -> OpenCvFlow:
    """The flow of a video that OpenCV can read, by DIS; OpenCV uses as many threads as it does."""
    frames, rate = _read(path, short_side=spec.compute_side)
    height, width = frames[0].shape
    scale = spec.short_side / min(height, width)
    size = (round(width * scale), round(height * scale))
    step = max(1, round(spec.gap_seconds * rate))
    slack = max(0.0, len(frames) / rate - spec.num_frames / spec.frame_rate)
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    fields, pairs = [], []
    for clip in range(spec.grid_clips):
        start = slack * (2 * clip + 1) / (2 * spec.grid_clips)
        for number in range(spec.num_frames):
            moment = start + number / spec.frame_rate
            first = min(int((moment + 0.001) * rate), len(frames) - 2)
            second = min(first + step, len(frames) - 1)
            flow = dis.calc(frames[first], frames[second], None)  # type: ignore[call-overload]
            per_gap = scale * spec.gap_seconds * rate / (second - first)
            smaller = cv2.resize(flow, size, interpolation=cv2.INTER_AREA)
            fields.append(np.asarray(smaller * per_gap, np.float32))
            pairs.append((first, second))
    return OpenCvFlow(fields=np.stack(fields), pairs=tuple(pairs))


def _read(path: Path, *, short_side: int) -> tuple[list[NDArray[np.uint8]], float]:
    """All frames, grey and scaled; and how many there are a second."""
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    frames = []
    while True:
        there, frame = capture.read()
        if not there:
            break
        scale = short_side / min(frame.shape[:2])
        size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
        smaller = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        frames.append(np.asarray(cv2.cvtColor(smaller, cv2.COLOR_BGR2GRAY), np.uint8))
    capture.release()
    return frames, rate
