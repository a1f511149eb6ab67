"""The flow of one video: which pairs of frames, and their flow, reduced."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from motionfit.inference.picture import scaled_size
from motionfit.inference.sampling import Times, sample_times
from motionfit.inference.video import Frames
from motionfit.training.distinct import find_distinct
from motionfit.training.flow_methods import Flow, flow_function
from motionfit.training.flow_pairs import Pairs, find_pairs
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.grid import grid_starts


@dataclass(frozen=True, kw_only=True, eq=False)
class Fields:
    """The flow of a video's grid of clips, each field once."""

    fields: Flow
    """(U, h, w, 2) float32: pixels to the right and down"""
    places: NDArray[np.int32]
    """(G, T) int32: the field that each moment of each clip has"""
    starts_us: Times
    """(G,) int64 microseconds: when each clip starts"""


def flow_fields(video: Frames, *, spec: FlowSpec) -> Fields:
    """The flow of a video that was read with a short side of ``spec.compute_side`` pixels.

    A video without a second distinct frame has zero flow.
    """
    starts_us = grid_starts(video.duration_us, spec=spec.sampling, clips=spec.grid_clips)
    size = scaled_size(video.info.width, video.info.height, short_side=spec.short_side)
    pairs = pairs_of(video, starts_us=starts_us, spec=spec)
    if pairs is None:
        still = np.zeros((1, size[1], size[0], 2), np.float32)
        places = np.zeros((spec.grid_clips, spec.num_frames), np.int32)
        return Fields(fields=still, places=places, starts_us=starts_us)
    compute = flow_function(spec.method)
    fields = [
        displacement(
            compute(video.frames[a], video.frames[b]), size=size, seconds=seconds, spec=spec
        )
        for a, b, seconds in zip(pairs.first, pairs.second, pairs.seconds, strict=True)
    ]
    return Fields(fields=np.stack(fields), places=pairs.places, starts_us=starts_us)


def pairs_of(video: Frames, *, starts_us: Times, spec: FlowSpec) -> Pairs | None:
    """The pairs of frames for the moments (G, T) of clips that start at ``starts_us`` (G,); None
    when the video has only one distinct frame.
    """
    moments_us = np.stack([sample_times(int(start), spec=spec.sampling) for start in starts_us])
    grey = np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in video.frames])
    distinct = find_distinct(np.asarray(grey, np.uint8), times_us=video.times_us)
    return find_pairs(distinct, moments_us=moments_us, gap_seconds=spec.gap_seconds)


def displacement(flow: Flow, *, size: tuple[int, int], seconds: float, spec: FlowSpec) -> Flow:
    """Flow (H, W, 2) over so many seconds, as that of pictures scaled to ``size`` (width, height)
    in the spec's gap: pixels to the right and down.
    """
    height, width = flow.shape[:2]
    smaller = cv2.resize(flow, size, interpolation=cv2.INTER_AREA)
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    return np.asarray(smaller, np.float32) * scale * np.float32(spec.gap_seconds / seconds)
