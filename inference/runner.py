"""What runs a bundle's model: one protocol, one file per runtime, chosen once."""

import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.backends import Backend, Device, choose
from motionfit.inference.bundle import Bundle
from motionfit.inference.plan import plans_of
from motionfit.inference.tensors import Output

__all__ = ["Backend", "Device", "Output", "Runner", "open_runner"]

logger = logging.getLogger(__name__)


class Runner(Protocol):
    """A loaded model on one device. Not safe for concurrent calls of ``run``."""

    name: str
    """Runtime and device, such as ``onnxruntime/cpu``."""

    def run(self, frames: NDArray[np.uint8]) -> Output:
        """Recognise clips: (N, T, H, W, 3) uint8, N at least 1. ValueError for anything else."""
        ...

    def close(self) -> None:
        """Free the model. The runner cannot be used afterwards."""
        ...


def open_runner(
    bundle: Bundle,
    *,
    backend: Backend = Backend.AUTO,
    device: Device = Device.AUTO,
    threads: int | None = None,
) -> Runner:
    """Load a bundle's model. The choice of runtime is logged with its reason.

    AUTO takes a TensorRT plan of the bundle that was made for this GPU, else CUDA through ONNX
    Runtime where its wheel and a GPU are, else OpenVINO where it is installed, else ONNX Runtime
    on the CPU. ``threads`` is the number of CPU threads, at least 1;
    None leaves it to the runtime (one per core).

    Raises BackendError when a runtime or device that was asked for is not there, MissingExtra when
    it is not installed, BundleError when the model cannot be loaded or is not the bundle's.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    planned = backend in (Backend.AUTO, Backend.TENSORRT) and device is not Device.CPU
    plans = plans_of(bundle) if planned else ()
    choice = choose(backend=backend, device=device, plans=plans)
    logger.info(
        "running %s with %s on %s: %s", bundle.name, choice.backend, choice.device, choice.reason
    )
    # A runtime is an optional extra of hundreds of megabytes: only the chosen one is imported.
    if choice.plan is not None:
        from motionfit.inference.runner_tensorrt import TensorRtRunner

        return TensorRtRunner(bundle, kind=choice.plan)
    if choice.backend is Backend.OPENVINO:
        from motionfit.inference.runner_openvino import OpenVinoRunner

        return OpenVinoRunner(bundle, threads=threads)
    from motionfit.inference.runner_onnx import OnnxRunner

    return OnnxRunner(bundle, cuda=choice.device is Device.CUDA, threads=threads)
