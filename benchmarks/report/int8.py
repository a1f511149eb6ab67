"""A network in int8 for ONNX Runtime, by its own static quantisation.

Weights are signed, one scale for each channel; activations are unsigned, which the int8
instructions of Intel's processors multiply fastest. Ranges come from real clips.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from motionfit.inference.tensors import INPUT
from motionfit.training.whole_files import written_whole

QUANTISED = ["Conv", "Relu", "Add"]
"""The preparations in front and the classifier stay as they are."""


@contextmanager
def _without_advice() -> Iterator[None]:
    """ONNX Runtime advises to simplify the graph first, which the export has done."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Clips(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, clips: NDArray[np.generic]) -> None:
        self._left: Iterator[NDArray[np.generic]] = iter(clips)

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        """The next clip as a batch of one; None at the end."""
        clip = next(self._left, None)
        return None if clip is None else {INPUT: clip[None]}


def write_int8(path: Path, *, source: Path, clips: NDArray[np.generic]) -> None:
    """Quantise the ONNX file ``source`` with ranges from ``clips`` (N, T, S, S, channels)."""
    with written_whole(path) as unfinished, _without_advice():
        quantize_static(
            str(source),
            str(unfinished),
            _Clips(clips),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
