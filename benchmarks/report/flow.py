"""Optical flow of a video's clips at request time, as fast as the algorithms allow.

Pairs that clips share are computed once, and as many pairs at once as there are threads: OpenCV's
own threads help less with pictures this small.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionfit.benchmarks.report.reading import Grey, Pictures, Shown
from motionfit.benchmarks.report.systems import Algorithm
from motionfit.inference.errors import MissingExtra
from motionfit.training.flow_fields import displacement
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.views import central

Field = NDArray[np.float32]  # (h, w, 2) pixels to the right and down
FlowOf = Callable[[Grey, Grey], Field]

TVL1_TUNED: Mapping[str, Any] = {
    "epsilon": 0.05,
    "warps": 3,
    "innnerIterations": 10,
    "outerIterations": 3,
    "medianFiltering": 1,
}
"""Six to seven times as fast as the defaults (0.01, 5, 30, 10, 5); OpenCV's spelling."""


@dataclass(frozen=True, kw_only=True)
class FlowComputer:
    """An algorithm, and the threads that it may use."""

    algorithm: Algorithm
    spec: FlowSpec
    pool: Executor

    def clips(self, pictures: Pictures, *, num_clips: int, crop: int) -> NDArray[np.float32]:
        """Clips (K, T, crop, crop, 2) float32 in units of the spec's bound, cut to -1 to 1."""
        pairs = list(zip(pictures.now, pictures.later, strict=True))
        keys = [(a.seconds, b.seconds) for a, b in pairs]
        different = dict(zip(keys, pairs, strict=True))
        size = pictures.flow_size
        found = self.pool.map(lambda pair: self._field(*pair, size=size), different.values())
        fields = dict(zip(different, found, strict=True))
        shares = np.stack([fields[key] for key in keys])
        clips = shares.reshape(num_clips, -1, *shares.shape[1:])
        return np.ascontiguousarray(central(clips, crop=crop))

    def _field(self, a: Shown, b: Shown, *, size: tuple[int, int]) -> Field:
        assert a.grey is not None
        assert b.grey is not None
        seconds = b.seconds - a.seconds
        if seconds <= 0:  # the video is over: nothing moves any more
            return np.zeros((size[1], size[0], 2), np.float32)
        flow = flow_of(self.algorithm)(a.grey, b.grey)
        moved = displacement(flow, size=size, seconds=seconds, spec=self.spec)
        return np.asarray(np.clip(moved / self.spec.bound_px, -1, 1), np.float32)


def flow_of(algorithm: Algorithm) -> FlowOf:
    """The flow between two pictures. Raises MissingExtra for TV-L1 without OpenCV's contrib."""
    match algorithm:
        case "dis":
            return _dis
        case "farneback":
            return _farneback
        case "tvl1":
            return _called(_tvl1({}))
        case "tvl1-tuned":
            return _called(_tvl1(TVL1_TUNED))


def _dis(a: Grey, b: Grey) -> Field:
    # A new one for each pair: on small pictures it goes by those it saw before.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return _called(dis)(a, b)


def _farneback(a: Grey, b: Grey) -> Field:
    flow = cv2.calcOpticalFlowFarneback(  # type: ignore[call-overload]
        a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0
    )
    return np.asarray(flow, np.float32)


def _tvl1(parameters: Mapping[str, Any]) -> Any:
    if not hasattr(cv2, "optflow"):
        raise MissingExtra(
            "TV-L1 is in OpenCV's contrib modules: pip install opencv-contrib-python-headless"
        )
    return cv2.optflow.DualTVL1OpticalFlow.create(**parameters)


def _called(algorithm: Any) -> FlowOf:
    # None: no flow to start from, which OpenCV's types forget.
    return lambda a, b: np.asarray(algorithm.calc(a, b, None), np.float32)
