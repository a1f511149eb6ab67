"""What runs a bundle's model: one protocol, one file per runtime, chosen once."""

import logging
from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Output(NamedTuple):
    """What the model says of N clips."""

    logits: NDArray[np.float32]
    """(N, classes) float32"""
    embedding: NDArray[np.float32]
    """(N, D) float32"""


class Runner(Protocol):
    """A loaded model on one device. Not safe for concurrent calls of ``run``."""

    name: str
    """Runtime and device, such as ``onnxruntime/cpu``."""

    def run(self, frames: NDArray[np.uint8]) -> Output:
        """Recognise clips: (N, T, H, W, 3) uint8, N at least 1."""
        ...

    def close(self) -> None:
        """Free the model. The runner cannot be used afterwards."""
        ...
