"""The flow of one video: which pairs of frames, their flow, reduced and stored as bytes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from motionfit.inference.picture import scaled_size
from motionfit.inference.sampling import Times, sample_times
from motionfit.inference.video import Frames
from motionfit.training.distinct import find_distinct
from motionfit.training.flow_methods import Flow, flow_function
from motionfit.training.flow_pairs import find_pairs
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_video import quantised
from motionfit.training.grid import grid_starts


@dataclass(frozen=True, kw_only=True, eq=False)
class Fields:
    """The flow of a video's grid of clips, each field once."""

    fields: NDArray[np.int8]
    """(U, h, w, 2) int8: displacement to the right and down, 127 for the spec's bound"""
    places: NDArray[np.int32]
    """(G, T) int32: the field that each moment of each clip has"""
    starts_us: Times
    """(G,) int64 microseconds: when each clip starts"""


def flow_fields(video: Frames, *, spec: FlowSpec) -> Fields:
    """The flow of a video that was read with a short side of ``spec.compute_side`` pixels.

    A video without a second distinct frame has zero flow.
    """
    starts_us = grid_starts(video.duration_us, spec=spec.sampling, clips=spec.grid_clips)
    moments_us = np.stack([sample_times(int(t), spec=spec.sampling) for t in starts_us])
    size = scaled_size(video.info.width, video.info.height, short_side=spec.short_side)
    grey = np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in video.frames])
    distinct = find_distinct(np.asarray(grey, np.uint8), times_us=video.times_us)
    pairs = find_pairs(distinct, moments_us=moments_us, gap_seconds=spec.gap_seconds)
    if pairs is None:
        still = np.zeros((1, size[1], size[0], 2), np.int8)
        return Fields(fields=still, places=np.zeros_like(moments_us, np.int32), starts_us=starts_us)
    compute = flow_function(spec.method)
    fields = [
        quantised(
            displacement(
                compute(video.frames[a], video.frames[b]), size=size, seconds=seconds, spec=spec
            ),
            bound_px=spec.bound_px,
        )
        for a, b, seconds in zip(pairs.first, pairs.second, pairs.seconds, strict=True)
    ]
    return Fields(fields=np.stack(fields), places=pairs.places, starts_us=starts_us)


def displacement(flow: Flow, *, size: tuple[int, int], seconds: float, spec: FlowSpec) -> Flow:
    """Flow (H, W, 2) over so many seconds, as that of pictures scaled to ``size`` (width, height)
    in the spec's gap: pixels to the right and down.
    """
    height, width = flow.shape[:2]
    smaller = cv2.resize(flow, size, interpolation=cv2.INTER_AREA)
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    return np.asarray(smaller, np.float32) * scale * np.float32(spec.gap_seconds / seconds)
