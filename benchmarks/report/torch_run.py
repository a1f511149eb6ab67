"""A network in PyTorch as it comes."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motionfit.benchmarks.engines_network import torchvisions
from motionfit.benchmarks.engines_torch import first_line
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BackendError
from motionfit.training.checkpoint import Checkpoint
from motionfit.training.model import network_input

Clips = NDArray[Any]
"""(N, T, S, S, 3) uint8, or (N, T, S, S, 2) float32 of flow in units of its bound"""
Run = Callable[[Clips], NDArray[np.float32]]
"""Logits (N, classes) of clips."""


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


def as_torchvision(source: Checkpoint) -> nn.Module:
    """torchvision's own network with the weights of a checkpoint."""
    network = torchvisions(copy.deepcopy(source.model))
    return Prepared(network, spec=source.spec, layout=torch.contiguous_format)


def torch_run(network: Callable[[Tensor], Tensor], *, threads: int) -> Run:
    """Run a network. Sets the number of threads of PyTorch, which is one for the process."""
    torch.set_num_threads(threads)

    def run(clips: Clips) -> NDArray[np.float32]:
        try:
            with torch.inference_mode():
                logits = network(torch.from_numpy(clips))
        except RuntimeError as error:  # no compiler, no memory
            raise BackendError(f"PyTorch cannot run it here: {first_line(error)}") from error
        return logits.numpy()

    return run
