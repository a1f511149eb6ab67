"""A bundle's model on OpenVINO, on the CPU."""

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.bundle import Bundle
from motionfit.inference.errors import BundleError
from motionfit.inference.tensors import (
    EMBEDDING,
    INPUT,
    LOGITS,
    Output,
    Shape,
    check_frames,
    check_model,
)

# Importing OpenVINO reports to Google Analytics and writes to ~/intel, unless its telemetry package
# cannot be imported, which is what None here means.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # type: ignore[import-untyped]  # noqa: E402

# One program for every batch size. One per size is about a tenth faster at N = 1 and a thirtieth
# at N = 4, but costs a pause and a copy of the weights for each size that is met.
OPTIONS = {
    "INFERENCE_PRECISION_HINT": "f32",  # bfloat16 is the default where the CPU has it
    "PERFORMANCE_HINT": "LATENCY",
}


class OpenVinoRunner:
    """A Runner. Computes in FP32."""

    name = "openvino/cpu"

    def __init__(
        self, bundle: Bundle, *, threads: int | None = None, file: str | None = None
    ) -> None:
        """Load the ONNX ``file`` of the bundle, or else the one that it names for this runtime."""
        name = file or bundle.runs[self.name]
        self._spec = bundle.spec
        self._compiled: Any = compiled(bundle.file(name), threads=threads)
        check_model(
            bundle,
            inputs={port.any_name: _shape(port) for port in self._compiled.inputs},
            outputs={port.any_name: _shape(port) for port in self._compiled.outputs},
            file=name,
        )

    def run(self, frames: NDArray[np.uint8]) -> Output:
        """Recognise clips: (N, T, H, W, 3) uint8, N at least 1."""
        check_frames(frames, spec=self._spec)
        results = self._compiled({INPUT: np.ascontiguousarray(frames)})
        return Output(results[LOGITS], results[EMBEDDING])

    def close(self) -> None:
        """Free the model."""
        self._compiled = None


def compiled(path: Path, *, threads: int | None = None, pinned: bool = True) -> Any:
    """OpenVINO's program of a file on the CPU. Raises BundleError when it cannot be loaded.

    ``pinned`` threads stay on the first cores. Every program takes the same ones, so programs that
    run side by side must not be pinned.
    """
    options: dict[str, Any] = dict(OPTIONS)
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    if not pinned:
        options["ENABLE_CPU_PINNING"] = False
    try:
        return _core().compile_model(path, "CPU", options)
    except RuntimeError as error:
        raise BundleError(f"OpenVINO cannot load {path}: {error}") from error


@cache
def _core() -> Any:
    """OpenVINO, once in a process and for good.

    On a CPU with AMX it gives the thread that makes it another stack for signals, and frees that
    when it is freed. In a thread other than the first the next signal to that would be a crash.
    """
    return openvino.Core()


def _shape(port: Any) -> Shape:
    return tuple(
        None if size.is_dynamic else size.get_length() for size in port.get_partial_shape()
    )
