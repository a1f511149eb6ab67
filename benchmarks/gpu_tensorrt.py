"""A TensorRT plan, built for the measurement, with clips and logits in the GPU's memory."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionfit.benchmarks.engines import Bind, Call, finish
from motionfit.export.to_tensorrt import PlanOptions, tensorrt_problem, write_plan
from motionfit.inference.errors import BackendError
from motionfit.inference.plan import Profile, why_not_here
from motionfit.inference.plan_library import PlanKind, load_library
from motionfit.inference.tensors import EMBEDDING, INPUT, LOGITS


def plan_binding(half: Path, *, kind: PlanKind, largest: int, device: torch.device) -> Bind:
    """Calls of a plan of the ONNX file ``half``, for batches up to ``largest``.

    Raises BackendError where such a plan cannot be built, or does not run.
    """
    if problem := tensorrt_problem(kind):
        raise BackendError(problem)
    plan = half.with_name(kind.file)
    options = PlanOptions(profile=Profile(min=1, opt=min(8, largest), max=largest))
    record = write_plan(half, plan, kind=kind, options=options)
    if problem := why_not_here(record):
        raise BackendError(f"the plan does not run here: {problem}")
    library = load_library(kind)
    runtime = library.trt.Runtime(library.log)
    engine = runtime.deserialize_cuda_engine(plan.read_bytes())
    if engine is None:
        raise BackendError(f"{kind.product} cannot load the plan: {library.complaints()}")

    def bind(frames: Tensor) -> Call:
        tensors = _tensors(engine, frames, device=device)
        context = engine.create_execution_context()
        if context is None or not context.set_input_shape(INPUT, tuple(frames.shape)):
            raise BackendError(f"{kind.product} cannot run the plan: {library.complaints()}")
        for name, tensor in tensors.items():
            context.set_tensor_address(name, tensor.data_ptr())
        # On the default stream TensorRT would wait for the GPU once more.
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))

        def call(_held: Any = runtime) -> Tensor:  # it has to outlive what it made
            if not context.execute_async_v3(stream.cuda_stream):
                raise BackendError(f"{kind.product} cannot run the plan: {library.complaints()}")
            finish(device)
            return tensors[LOGITS]

        return call

    return bind


def _tensors(engine: Any, frames: Tensor, *, device: torch.device) -> dict[str, Tensor]:
    """Clips, and memory for what the plan makes of them."""
    outputs = {
        name: torch.empty(len(frames), engine.get_tensor_shape(name)[-1], device=device)
        for name in (LOGITS, EMBEDDING)
    }
    return {INPUT: frames.to(device).contiguous(), **outputs}
