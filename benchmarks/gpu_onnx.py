"""An exported file on ONNX Runtime, with clips and logits in the device's memory."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionfit.benchmarks.engines import Bind, Call, finish
from motionfit.benchmarks.engines_torch import first_line
from motionfit.inference.backends import cuda_problem, refuse_mixed_wheels
from motionfit.inference.errors import BackendError, require_extra
from motionfit.inference.tensors import INPUT, LOGITS


def onnx_binding(file: Path, *, device: torch.device, graph: bool) -> Bind:
    """Calls of the ONNX file ``file``; with ``graph``, of a CUDA graph for each batch size.

    Raises BackendError when ONNX Runtime cannot use the GPU: unasked, it would take the CPU.
    """
    require_extra("gpu" if device.type == "cuda" else "cpu", "onnxruntime")
    refuse_mixed_wheels()
    if device.type == "cuda" and (problem := cuda_problem()):
        raise BackendError(f"ONNX Runtime cannot use the GPU: {problem}")

    def bind(frames: Tensor) -> Call:
        # A session for each batch size: a CUDA graph is of fixed shapes at fixed addresses.
        session = _session(file, device=device, graph=graph)
        there = frames.to(device).contiguous()
        (described,) = (one for one in session.get_outputs() if one.name == LOGITS)
        logits = torch.empty(len(frames), described.shape[-1], device=device)
        binding = session.io_binding()
        place = (device.type, device.index or 0)
        binding.bind_input(INPUT, *place, np.uint8, tuple(there.shape), there.data_ptr())
        binding.bind_output(LOGITS, *place, np.float32, tuple(logits.shape), logits.data_ptr())

        def call(_held: Tensor = there) -> Tensor:  # ONNX Runtime has only its address
            try:
                session.run_with_iobinding(binding)
            except Exception as error:  # ONNX Runtime has no common base class of its own
                raise BackendError(f"ONNX Runtime cannot run it: {first_line(error)}") from error
            finish(device)
            return logits

        return call

    return bind


def _session(file: Path, *, device: torch.device, graph: bool) -> Any:
    from motionfit.inference.runner_onnx import cpu_session, cuda_session

    return cuda_session(file, graph=graph) if device.type == "cuda" else cpu_session(file)
