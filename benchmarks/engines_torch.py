"""The network in PyTorch, as engines: memory layouts, folding, half precision, compilation."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from motionfit.benchmarks.engines import Bind, Call, Engine, Precision, finish
from motionfit.benchmarks.engines_network import torchvisions
from motionfit.export.fold import folded
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BackendError
from motionfit.training.checkpoint import Checkpoint

EAGER = "torch/eager"

Network = Callable[[Tensor], Tensor]
"""Logits (N, classes) of clips (N, T, S, S, 3) uint8."""
Binding = Callable[[nn.Module, torch.device], Bind]


class Recogniser(nn.Module):
    """A network with a clip's last preparations in front: logits of frames (N, T, S, S, 3) uint8.

    They are prepared in FP32, and then computed in the precision of the network's weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, *, spec: ClipSpec, layout: torch.memory_format) -> None:
        super().__init__()
        self.network = network.to(memory_format=layout)
        self.layout = layout
        self.dtype = next(network.parameters()).dtype
        # Buffers, because a constant that is made anew would be copied to a GPU with every call.
        self.register_buffer("mean", torch.tensor(spec.mean))
        self.register_buffer("std", torch.tensor(spec.std))

    def forward(self, frames: Tensor) -> Tensor:
        """Logits (N, classes) in the precision of the weights."""
        clips = ((frames.float() / 255 - self.mean) / self.std).permute(0, 4, 1, 2, 3)
        logits: Tensor = self.network(clips.to(self.dtype).contiguous(memory_format=self.layout))
        return logits


def torchvision_network(source: Checkpoint, *, layout: torch.memory_format) -> Recogniser:
    """torchvision's network as it comes, in one of two memory layouts."""
    return Recogniser(torchvisions(copy.deepcopy(source.model)), spec=source.spec, layout=layout)


def folded_network(source: Checkpoint, *, precision: Precision) -> Recogniser:
    """The network with the channels last in memory, its batch-norms folded in FP32."""
    network = torchvisions(folded(source.model))
    if precision == "fp16":
        network = network.half()
    return Recogniser(network, spec=source.spec, layout=torch.channels_last_3d)


def called(network: nn.Module, device: torch.device) -> Bind:
    """The network called from Python. Its calls raise BackendError when PyTorch fails."""
    return bound(network.to(device), device=device)


def compiled(network: nn.Module, device: torch.device) -> Bind:
    """The network compiled by torch.compile, once for each batch size."""
    return bound(torch.compile(network.to(device), dynamic=False), device=device)


def compiled_frozen(network: nn.Module, device: torch.device) -> Bind:
    """The same with its weights made constants, which lets the compiler lay them out anew."""
    frozen = torch.compile(network.to(device), dynamic=False, options={"freezing": True})
    return bound(frozen, device=device)


def bound(network: Network, *, device: torch.device) -> Bind:
    """Calls of a network that is on ``device``, of clips that are brought there once."""

    def bind(frames: Tensor) -> Call:
        there = frames.to(device)

        def call() -> Tensor:
            try:
                with torch.inference_mode():
                    logits = network(there)
                finish(device)
            except RuntimeError as error:  # no compiler, no memory, no such operation
                raise BackendError(f"PyTorch cannot run it here: {first_line(error)}") from error
            return logits

        return call

    return bind


def first_line(error: Exception) -> str:
    """What an error says, without what follows for developers."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def eager(source: Checkpoint, *, device: torch.device) -> Engine:
    """torchvision's network, which every other engine is held against."""

    def load() -> Bind:
        return called(torchvision_network(source, layout=torch.contiguous_format), device)

    return Engine(name=EAGER, precision="fp32", open=load)


def folded_engine(
    name: str,
    *,
    source: Checkpoint,
    precision: Precision,
    device: torch.device,
    binding: Binding = called,
) -> Engine:
    """The folded network with the channels last in memory, run as ``binding`` says."""

    def load() -> Bind:
        return binding(folded_network(source, precision=precision), device)

    return Engine(name=name, precision=precision, open=load)
