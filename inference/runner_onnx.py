"""A bundle's model on ONNX Runtime: CPU or CUDA."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.bundle import Bundle
from motionfit.inference.errors import BackendError, BundleError
from motionfit.inference.tensors import (
    EMBEDDING,
    INPUT,
    LOGITS,
    Output,
    Shape,
    check_frames,
    check_model,
)

# Since 1.29 the Linux wheels report to Microsoft and write a device id under ~/.cache, unless this
# is set before the import; a value that the user has set stays.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # type: ignore[import-untyped]

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
FATAL = 4  # ONNX Runtime's log level: failures arrive as exceptions, not as lines on stderr


class OnnxRunner:
    """A Runner. Computes in FP32, and on CUDA a graph of half precision in FP16; TF32 is off."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        cuda: bool = False,
        threads: int | None = None,
        file: str | None = None,
    ) -> None:
        """Load the ONNX ``file`` of the bundle, or else the one that it names for this runtime.

        Raises BackendError when CUDA is asked for and absent.
        """
        self.name = f"onnxruntime/{'cuda' if cuda else 'cpu'}"
        self._spec = bundle.spec
        name = file or bundle.runs[self.name]
        path = bundle.file(name)
        self._session = cuda_session(path) if cuda else cpu_session(path, threads=threads)
        check_model(
            bundle,
            inputs={item.name: _shape(item) for item in self._session.get_inputs()},
            outputs={item.name: _shape(item) for item in self._session.get_outputs()},
            file=name,
        )

    def run(self, frames: NDArray[np.uint8]) -> Output:
        """Recognise clips: (N, T, H, W, 3) uint8, N at least 1."""
        check_frames(frames, spec=self._spec)
        feed = {INPUT: np.ascontiguousarray(frames)}
        logits, embedding = self._session.run([LOGITS, EMBEDDING], feed)
        return Output(logits, embedding)

    def close(self) -> None:
        """Free the model."""
        self._session = None


def cpu_session(path: Path, *, threads: int | None = None) -> Any:
    """ONNX Runtime's session of a file on the CPU. Raises BundleError when it cannot be loaded."""
    options = _options()
    options.intra_op_num_threads = threads or 0
    try:
        return onnxruntime.InferenceSession(path, options, providers=[CPU])
    except Exception as error:  # ONNX Runtime has no common base class of its own
        raise BundleError(f"ONNX Runtime cannot load {path}: {error}") from error


def cuda_session(path: Path, *, graph: bool = False) -> Any:
    """The same on CUDA, without TF32; ``graph``: what is run becomes a CUDA graph.

    Raises BackendError when ONNX Runtime cannot use CUDA: unasked, it would take the CPU.
    """
    options = _options()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    onnxruntime.preload_dlls()
    settings = {"use_tf32": "0"} | ({"enable_cuda_graph": "1"} if graph else {})
    try:
        session = onnxruntime.InferenceSession(path, options, providers=[(CUDA, settings)])
    except Exception as error:
        raise BackendError(_no_cuda(str(error))) from error
    if (first := session.get_providers()[0]) != CUDA:
        raise BackendError(_no_cuda(f"it chose {first}"))
    return session


def _no_cuda(why: str) -> str:
    return (
        f"ONNX Runtime cannot run the model on CUDA: {why}. Its CUDA parts come with  "
        'pip install "motionfit[gpu]"  ; use device cpu to run on the CPU'
    )


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    return options


def _shape(item: Any) -> Shape:
    return tuple(size if isinstance(size, int) else None for size in item.shape)
