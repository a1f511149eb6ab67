"""A network of RGB or of flow in an engine of the CPU. All are run alike, so all can be swapped."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motionfit.benchmarks.engines_network import torchvisions
from motionfit.benchmarks.engines_torch import first_line
from motionfit.benchmarks.report.int8 import write_int8
from motionfit.benchmarks.report.networks import Network
from motionfit.benchmarks.report.systems import EngineName
from motionfit.export.fold import folded
from motionfit.export.lower import write_lowered
from motionfit.export.to_onnx import write_onnx
from motionfit.inference.bundle import LOWERED, MODEL
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BackendError, require_extra
from motionfit.inference.tensors import INPUT, LOGITS
from motionfit.training.checkpoint import Checkpoint
from motionfit.training.model import network_input

INT8 = "model.int8.onnx"

Clips = NDArray[Any]
"""(N, T, S, S, 3) uint8, or (N, T, S, S, 2) float32 of flow in units of its bound"""
Run = Callable[[Clips], NDArray[np.float32]]
"""Logits (N, classes) of clips."""


@dataclass(frozen=True, kw_only=True)
class Loader:
    """Loads networks into engines; writes the files that they need once, and keeps them."""

    folder: Path
    threads: int
    calibrating: Callable[[Checkpoint], Clips]
    """Real clips for a network, from which the ranges of int8 are taken."""

    def load(self, network: Network, engine: EngineName) -> Run:
        """A network in an engine. Raises a MotionfitError where it cannot run."""
        match engine:
            case "torch-eager":
                return self._torch(_as_torchvision(network.checkpoint))
            case "torch-compiled":
                return self._torch(torch.compile(_folded(network.checkpoint), dynamic=False))
            case "openvino":
                require_extra("cpu", "openvino")
                return _openvino(self.file(network, MODEL), threads=self.threads)
            case "onnxruntime" | "onnxruntime-plain" | "onnxruntime-int8":
                require_extra("cpu", "onnxruntime")
                name = {"onnxruntime": LOWERED, "onnxruntime-plain": MODEL}.get(engine, INT8)
                return _onnxruntime(self.file(network, name), threads=self.threads)

    def file(self, network: Network, name: str) -> Path:
        """One of a network's ONNX files, written if it is not there."""
        own = self.folder / network.key
        path = own / name
        if path.is_file():
            return path
        own.mkdir(parents=True, exist_ok=True)
        if name == MODEL:
            write_onnx(path, network.checkpoint)
        elif name == LOWERED:
            write_lowered(path, plain=self.file(network, MODEL))
        else:
            clips = self.calibrating(network.checkpoint)
            write_int8(path, plain=self.file(network, MODEL), clips=clips)
        return path

    def _torch(self, network: Callable[[Tensor], Tensor]) -> Run:
        torch.set_num_threads(self.threads)

        def run(clips: Clips) -> NDArray[np.float32]:
            try:
                with torch.inference_mode():
                    logits = network(torch.from_numpy(clips))
            except RuntimeError as error:  # no compiler, no memory
                raise BackendError(f"PyTorch cannot run it here: {first_line(error)}") from error
            return logits.numpy()

        return run


class Prepared(nn.Module):
    """A network with a clip's last preparations in front: logits of clips as ``Clips`` says."""

    def __init__(self, network: nn.Module, *, spec: ClipSpec, layout: torch.memory_format) -> None:
        super().__init__()
        self.network = network.to(memory_format=layout)
        self.spec = spec
        self.layout = layout

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (N, classes)."""
        prepared = network_input(clips, spec=self.spec).contiguous(memory_format=self.layout)
        logits: Tensor = self.network(prepared)
        return logits


def _as_torchvision(source: Checkpoint) -> nn.Module:
    network = torchvisions(copy.deepcopy(source.model))
    return Prepared(network, spec=source.spec, layout=torch.contiguous_format)


def _folded(source: Checkpoint) -> nn.Module:
    network = torchvisions(folded(source.model))
    return Prepared(network, spec=source.spec, layout=torch.channels_last_3d)


def _onnxruntime(path: Path, *, threads: int) -> Run:
    from motionfit.inference.runner_onnx import cpu_session

    session = cpu_session(path, threads=threads)

    def run(clips: Clips) -> NDArray[np.float32]:
        [logits] = session.run([LOGITS], {INPUT: clips})
        return np.asarray(logits, np.float32)

    return run


def _openvino(path: Path, *, threads: int) -> Run:
    from motionfit.inference.runner_openvino import compiled

    # Those of one thread are asked side by side: pinned, they would all wait for the first core.
    program = compiled(path, threads=threads, pinned=threads > 1)

    def run(clips: Clips) -> NDArray[np.float32]:
        return np.asarray(program({INPUT: clips})[LOGITS], np.float32)

    return run
