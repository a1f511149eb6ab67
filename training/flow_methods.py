"""Optical flow between two pictures, by the methods to choose from.

- ``dis``: Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016 (OpenCV, its
  preset "medium": on UCF101's videos at 128 pixels a picture brought back by its flow differs by
  0.38 of what the pictures differed by; by the preset "fast", which is five times as fast, 0.52).
- ``farneback``: Farneback, Two-Frame Motion Estimation Based on Polynomial Expansion, SCIA 2003
  (OpenCV, with the parameters of its own examples).
- ``tvl1``: Zach, Pock, Bischof, A Duality Based Approach for Realtime TV-L1 Optical Flow, DAGM 2007
  (OpenCV's contrib modules, its default parameters); hundreds of times slower than ``dis``.
- ``raft``: Teed, Deng, RAFT, ECCV 2020 (torchvision's ``raft_small``), on the CPU.
"""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from motionfit.inference.errors import MissingExtra
from motionfit.training.flow_spec import FlowMethod

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Flow = NDArray[np.float32]  # (H, W, 2) pixels to the right and down

FlowFunction = Callable[[Picture, Picture], Flow]
"""The flow from one picture to another of the same size."""


@lru_cache(maxsize=1)
def flow_function(method: FlowMethod) -> FlowFunction:
    """The method, made once for a process. It uses one thread: several processes share a machine.

    Raises MissingExtra or CheckpointError when what it needs is not there.
    """
    cv2.setNumThreads(1)
    match method:
        case "dis":
            return _dis
        case "farneback":
            return _farneback
        case "tvl1":
            return _tvl1()
        case "raft":
            # torch takes seconds and hundreds of megabytes, in every process that computes flow.
            from motionfit.training.flow_raft import load_raft

            return load_raft()


def _dis(a: Picture, b: Picture) -> Flow:
    # A new one for each pair: on small pictures it goes by those it saw before.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # None: no flow to start from, which OpenCV's types forget.
    return _as_flow(dis.calc(_grey(a), _grey(b), None))  # type: ignore[call-overload]


def _farneback(a: Picture, b: Picture) -> Flow:
    flow = cv2.calcOpticalFlowFarneback(  # type: ignore[call-overload]
        _grey(a), _grey(b), None, 0.5, 3, 15, 3, 5, 1.2, 0
    )
    return _as_flow(flow)


def _tvl1() -> FlowFunction:
    if not hasattr(cv2, "optflow"):
        raise MissingExtra(
            "TV-L1 is in OpenCV's contrib modules, which this OpenCV is built without: "
            "run  pip uninstall opencv-python opencv-python-headless  and then  "
            "pip install opencv-contrib-python-headless , or choose another method"
        )
    tvl1 = cv2.optflow.DualTVL1OpticalFlow.create()
    return lambda a, b: _as_flow(tvl1.calc(_grey(a), _grey(b), None))  # type: ignore[call-overload]


def _grey(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _as_flow(values: object) -> Flow:
    return np.asarray(values, np.float32)
