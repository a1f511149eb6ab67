"""A network of RGB or of flow in an engine of the CPU. All are run alike, so all can be swapped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from motionfit.benchmarks.engines_network import torchvisions
from motionfit.benchmarks.report.int8 import write_int8
from motionfit.benchmarks.report.networks import Network
from motionfit.benchmarks.report.systems import EngineName
from motionfit.benchmarks.report.torch_run import Clips, Prepared, Run, as_torchvision, torch_run
from motionfit.export.fold import folded
from motionfit.export.lower import write_lowered
from motionfit.export.to_onnx import write_onnx
from motionfit.inference.bundle import LOWERED, MODEL
from motionfit.inference.errors import require_extra
from motionfit.inference.tensors import INPUT, LOGITS
from motionfit.training.checkpoint import Checkpoint, save_checkpoint

INT8, CHECKPOINT = "model.int8.onnx", "checkpoint.safetensors"
SOURCES: Mapping[EngineName, str] = {
    "openvino": MODEL,
    "onnxruntime": LOWERED,
    "onnxruntime-plain": MODEL,
    "onnxruntime-int8": INT8,
    "torch-eager": CHECKPOINT,
    "torch-compiled": CHECKPOINT,
}
"""What each engine loads."""


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
                return torch_run(as_torchvision(network.checkpoint), threads=self.threads)
            case "torch-compiled":
                compiled = torch.compile(_folded(network.checkpoint), dynamic=False)
                return torch_run(compiled, threads=self.threads)
            case "openvino":
                require_extra("cpu", "openvino")
                return _openvino(self.source(network, engine), threads=self.threads)
            case "onnxruntime" | "onnxruntime-plain" | "onnxruntime-int8":
                require_extra("cpu", "onnxruntime")
                return _onnxruntime(self.source(network, engine), threads=self.threads)

    def source(self, network: Network, engine: EngineName) -> Path:
        """The file that an engine loads a network from, written if it is not there."""
        return self.file(network, SOURCES[engine])

    def file(self, network: Network, name: str) -> Path:
        """One of a network's files, written if it is not there."""
        own = self.folder / network.key
        path = own / name
        if path.is_file():
            return path
        own.mkdir(parents=True, exist_ok=True)
        if name == CHECKPOINT:
            save_checkpoint(path, network.checkpoint)
        elif name == MODEL:
            write_onnx(path, network.checkpoint)
        elif name == LOWERED:
            write_lowered(path, plain=self.file(network, MODEL))
        else:
            clips = self.calibrating(network.checkpoint)
            write_int8(path, source=self.file(network, LOWERED), clips=clips)
        return path


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
