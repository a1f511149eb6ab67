"""Is our flow that of a few lines of OpenCV, where both look at the same two frames? And what it
costs to store it in bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionfit.benchmarks.opencv_flow import opencv_flow
from motionfit.inference.errors import VerificationError
from motionfit.inference.picture import scaled_size
from motionfit.inference.video import Frames, read_frames
from motionfit.training.flow_fields import displacement, pairs_of
from motionfit.training.flow_methods import flow_function
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_video import quantised, restored
from motionfit.training.grid import grid_starts

LEAST_CORRELATION = 0.9
LARGEST_MEDIAN_PX = 0.15
"""The readers scale pictures differently (swscale straight from YUV, OpenCV from BGR), and DIS
makes more of that where there is little texture."""
LEAST_SHARE = 0.1

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Over the fields of several videos that are from and to the same frames."""

    fields: int
    share: float
    """Of all fields of OpenCV's loop."""
    correlation: float
    median_px: float
    """Median difference of a component, in pixels at the short side."""
    rms_px: float
    """Root mean square of a component of the flow, cut to the bound."""
    storage_rms_px: float
    """Root mean square of what storing changes in it, within the bound."""
    beyond_bound: float
    """Share of the components that are cut."""

    def settings(self) -> dict[str, int | float]:
        """For the record of a result."""
        return {
            "same_frames": self.fields,
            "same_frames_share": round(self.share, 3),
            "correlation": round(self.correlation, 4),
            "median_difference_px": round(self.median_px, 4),
            "flow_rms_px": round(self.rms_px, 4),
            "storage_rms_px": round(self.storage_rms_px, 4),
            "beyond_bound_share": round(self.beyond_bound, 5),
        }


def agreement(paths: Sequence[Path], *, spec: FlowSpec) -> Agreement:
    """Compare the two on videos. Raises VerificationError when they do not do the same."""
    ours, theirs, of_all = [], [], 0
    for path in paths:
        plain = opencv_flow(path, spec=spec)
        mine = _our_flow(read_frames(path, short_side=spec.compute_side), spec=spec)
        of_all += len(plain.pairs)
        for pair, field in zip(plain.pairs, plain.fields, strict=True):
            if pair in mine and mine[pair].shape == field.shape:
                ours.append(mine[pair].ravel())
                theirs.append(field.ravel())
    if len(ours) < LEAST_SHARE * of_all:
        raise VerificationError(
            f"only {len(ours)} of {of_all} fields are between the same frames: "
            "give videos of 25 frames a second without repeated ones"
        )
    found = _judged(np.concatenate(ours), np.concatenate(theirs), len(ours), of_all, spec=spec)
    if found.correlation < LEAST_CORRELATION or found.median_px > LARGEST_MEDIAN_PX:
        raise VerificationError(
            f"our flow is not OpenCV's: correlation {found.correlation:.3f} (at least "
            f"{LEAST_CORRELATION}), median difference {found.median_px:.3f} pixels (at most "
            f"{LARGEST_MEDIAN_PX})"
        )
    return found


def _judged(ours: Floats, theirs: Floats, fields: int, of_all: int, *, spec: FlowSpec) -> Agreement:
    bound = spec.bound_px
    inside = np.abs(ours) <= bound
    stored = restored(quantised(ours, bound_px=bound)) * np.float32(bound)
    return Agreement(
        fields=fields,
        share=fields / of_all,
        correlation=float(np.corrcoef(ours, theirs)[0, 1]),
        median_px=float(np.median(np.abs(ours - theirs))),
        rms_px=_rms(np.clip(ours, -bound, bound)),
        storage_rms_px=_rms((stored - ours)[inside]),
        beyond_bound=float(1 - inside.mean()),
    )


def _our_flow(video: Frames, *, spec: FlowSpec) -> dict[tuple[int, int], Floats]:
    """Each pair's flow, as it is before it is stored."""
    starts_us = grid_starts(video.duration_us, spec=spec.sampling, clips=spec.grid_clips)
    pairs = pairs_of(video, starts_us=starts_us, spec=spec)
    if pairs is None:
        return {}
    compute = flow_function(spec.method)
    size = scaled_size(video.info.width, video.info.height, short_side=spec.short_side)
    return {
        (int(a), int(b)): displacement(
            compute(video.frames[a], video.frames[b]),
            size=size,
            seconds=seconds,
            spec=spec,
        )
        for a, b, seconds in zip(pairs.first, pairs.second, pairs.seconds, strict=True)
    }


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
