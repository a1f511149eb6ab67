"""Engines of an NVIDIA GPU, with clips and logits in its memory.

Built, not executed by us on a GPU: no machine at hand has one. What does not need one is tested on
the CPU.
"""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from motionfit.benchmarks.engines import (
    Bind,
    Call,
    Engine,
    Precision,
    Suite,
    finish,
    matrix_product,
)
from motionfit.benchmarks.engines_network import Subject
from motionfit.benchmarks.engines_torch import (
    EAGER,
    called,
    compiled,
    eager,
    first_line,
    folded_engine,
)
from motionfit.benchmarks.gpu_onnx import onnx_binding
from motionfit.benchmarks.gpu_tensorrt import plan_binding
from motionfit.export.half import write_half
from motionfit.export.to_onnx import write_onnx
from motionfit.inference.bundle import FP16, MODEL
from motionfit.inference.errors import BackendError
from motionfit.inference.plan_library import PlanKind

MATRIX = 8192
"""Side of the matrices whose product is the machine's peak: 1.1 TFLOP."""
HALF_EAGER = "torch/folded-fp16"
WARMING_CALLS = 3
"""Before a CUDA graph is captured: libraries choose their algorithms in the first calls."""


def gpu_device() -> torch.device:
    """The first GPU. Raises BackendError when PyTorch cannot use it."""
    if not torch.cuda.is_available():
        raise BackendError(
            f"PyTorch {torch.__version__} cannot use the GPU: install one that is built for the "
            "CUDA version of its driver"
        )
    return torch.device("cuda", 0)


def gpu_suite(subject: Subject, *, folder: Path, device: torch.device) -> Suite:
    """What is measured on a GPU. The files that engines load are written into ``folder``.

    Turns TF32 off for the process, so that FP32 is FP32 in every engine and in the peak, and lets
    cuDNN choose its algorithms by measurement.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    plain, half = folder / MODEL, folder / FP16
    write_onnx(plain, subject.checkpoint)
    write_half(half, subject.checkpoint, plain=plain, clips=subject.frames.numpy())
    return Suite(
        kind="gpu",
        subject=subject,
        engines=(
            *torch_engines(subject, device=device),
            *_onnx_engines(plain, half, device=device),
            *_tensorrt_engines(half, largest=len(subject.frames), device=device),
        ),
        peaks=tuple(matrix_product(MATRIX, precision=p, device=device) for p in PRECISIONS),
        rivals=(EAGER, HALF_EAGER),
        settings={"matrix": MATRIX, "tf32": False},
    )


PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")


def torch_engines(subject: Subject, *, device: torch.device) -> tuple[Engine, ...]:
    """PyTorch: torchvision's network, then in half precision called, compiled and as a graph."""
    half = partial(folded_engine, source=subject.checkpoint, precision="fp16", device=device)
    return (
        eager(subject.checkpoint, device=device),
        half(HALF_EAGER, binding=called),
        half("torch/compiled-fp16", binding=compiled),
        half("torch/graph-fp16", binding=graphed),
    )


def graphed(network: nn.Module, device: torch.device) -> Bind:
    """The network as a CUDA graph for each batch size: the GPU gets all its work in one go."""
    network.to(device)

    def bind(frames: Tensor) -> Call:
        there = frames.to(device)
        try:
            graph, logits = _captured(network, there)
        except RuntimeError as error:
            raise BackendError(f"PyTorch cannot make a CUDA graph: {first_line(error)}") from error

        def call() -> Tensor:
            graph.replay()
            finish(device)
            return logits

        return call

    return bind


def _captured(network: nn.Module, frames: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    aside = torch.cuda.Stream(frames.device)  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream(frames.device))
    with torch.inference_mode(), torch.cuda.stream(aside):
        for _ in range(WARMING_CALLS):
            network(frames)
    torch.cuda.current_stream(frames.device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        logits: Tensor = network(frames)
    return graph, logits


def _onnx_engines(plain: Path, half: Path, *, device: torch.device) -> tuple[Engine, ...]:
    def engine(name: str, precision: Precision, file: Path, *, graph: bool) -> Engine:
        return Engine(
            name=f"onnxruntime/{name}",
            precision=precision,
            open=partial(onnx_binding, file, device=device, graph=graph),
        )

    return (
        engine("fp32", "fp32", plain, graph=False),
        engine("fp16", "fp16", half, graph=False),
        engine("graph-fp16", "fp16", half, graph=True),
    )


def _tensorrt_engines(half: Path, *, largest: int, device: torch.device) -> tuple[Engine, ...]:
    return tuple(
        Engine(
            name=f"{kind}/fp16",
            precision="fp16",
            open=partial(plan_binding, half, kind=kind, largest=largest, device=device),
        )
        for kind in PlanKind
    )
