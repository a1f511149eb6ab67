"""Engines of a CPU: PyTorch five ways, and ONNX Runtime and OpenVINO on what is exported."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from motionfit.benchmarks.engines import Bind, Call, Engine, Suite, matrix_product
from motionfit.benchmarks.engines_network import Subject
from motionfit.benchmarks.engines_torch import (
    EAGER,
    called,
    compiled,
    compiled_frozen,
    eager,
    folded_engine,
    torchvision_network,
)
from motionfit.export.lower import write_lowered
from motionfit.export.to_onnx import write_onnx
from motionfit.inference.bundle import LOWERED, MODEL, Bundle, sha256_of
from motionfit.inference.errors import require_extra
from motionfit.inference.runner import Runner
from motionfit.training.checkpoint import Checkpoint

CPU = torch.device("cpu")
MATRIX = 2048
"""Side of the matrices whose product is the machine's peak: 17 GFLOP, some tens of milliseconds."""

ONNX_PLAIN, OPENVINO_PLAIN = "onnxruntime/plain", "openvino/plain"


def cpu_suite(subject: Subject, *, folder: Path, threads: int) -> Suite:
    """What is measured on a CPU. The files that engines load are written into ``folder``.

    Sets the number of threads of PyTorch, which is one for the process.
    """
    torch.set_num_threads(threads)
    return Suite(
        kind="engines",
        subject=subject,
        engines=_engines(subject.checkpoint, folder=folder, threads=threads),
        peaks=(matrix_product(MATRIX, precision="fp32", device=CPU),),
        rivals=(EAGER, ONNX_PLAIN, OPENVINO_PLAIN),
        settings={"threads": threads, "matrix": MATRIX},
    )


def _engines(source: Checkpoint, *, folder: Path, threads: int) -> tuple[Engine, ...]:
    folded = partial(folded_engine, source=source, precision="fp32", device=CPU)
    bundle = _exported(source, folder)
    return (
        eager(source, device=CPU),
        _channels_last(source),
        folded("torch/folded"),
        folded("torch/compiled", binding=compiled),
        folded("torch/compiled-frozen", binding=compiled_frozen),
        _onnxruntime(ONNX_PLAIN, bundle, file=MODEL, threads=threads),
        _onnxruntime("onnxruntime/lowered", bundle, file=LOWERED, threads=threads),
        _openvino(OPENVINO_PLAIN, bundle, file=MODEL, threads=threads),
        _openvino("openvino/lowered", bundle, file=LOWERED, threads=threads),
    )


def _exported(source: Checkpoint, folder: Path) -> Bundle:
    """A bundle with no more than the two files that are run."""
    write_onnx(folder / MODEL, source)
    write_lowered(folder / LOWERED, plain=folder / MODEL)
    return Bundle(
        path=folder,
        name="engines",
        spec=source.spec,
        labels=source.labels,
        files={name: sha256_of(folder / name) for name in (MODEL, LOWERED)},
        manifest={},
    )


def _channels_last(source: Checkpoint) -> Engine:
    def load() -> Bind:
        return called(torchvision_network(source, layout=torch.channels_last_3d), CPU)

    return Engine(name="torch/channels-last", precision="fp32", open=load)


def _onnxruntime(name: str, bundle: Bundle, *, file: str, threads: int) -> Engine:
    def load() -> Bind:
        require_extra("cpu", "onnxruntime")
        from motionfit.inference.runner_onnx import OnnxRunner

        return _runner(OnnxRunner(bundle, file=file, threads=threads))

    return Engine(name=name, precision="fp32", open=load)


def _openvino(name: str, bundle: Bundle, *, file: str, threads: int) -> Engine:
    def load() -> Bind:
        require_extra("cpu", "openvino")
        from motionfit.inference.runner_openvino import OpenVinoRunner

        return _runner(OpenVinoRunner(bundle, file=file, threads=threads))

    return Engine(name=name, precision="fp32", open=load)


def _runner(runner: Runner) -> Bind:
    def bind(frames: Tensor) -> Call:
        clips = frames.numpy()
        return lambda: torch.from_numpy(runner.run(clips).logits)

    return bind
