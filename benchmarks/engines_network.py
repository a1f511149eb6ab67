"""The network that engines are compared on: made, not trained, because speed does not ask.

Its batch-norms do something, so that an engine that leaves one out is found. They do not take mean
and variance from clips, as training would let them: in a network that has learnt nothing the
differences between clips are small, and with those norms would grow, and rounding with them.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.video import r2plus1d_18  # type: ignore[import-untyped]

from motionfit.inference.clip import ClipSpec
from motionfit.training.checkpoint import Checkpoint
from motionfit.training.model import RGB, R2Plus1D

CLASSES = 400  # of Kinetics, which torchvision's network names


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network and clips for it."""

    checkpoint: Checkpoint
    frames: Tensor
    """(N, T, S, S, 3) uint8; N is the largest batch"""
    flop_per_clip: int
    """Multiplications and additions of convolutions and of the classifier."""

    def settings(self) -> dict[str, str | int | float]:
        """What a result says of the network."""
        spec = self.checkpoint.spec
        return {
            "network": "r2plus1d_18, weights made, not trained",
            "width": self.checkpoint.width,
            "frames": spec.num_frames,
            "size": spec.crop,
            "flop_per_clip": self.flop_per_clip,
        }


def made_subject(*, width: float, num_frames: int, size: int, clips: int, seed: int) -> Subject:
    """R(2+1)D-18 at ``width`` for clips of ``num_frames`` x ``size`` x ``size``, and such clips."""
    spec = ClipSpec(num_frames=num_frames, frame_rate=15.0, short_side=size, crop=size)
    torch.manual_seed(seed)
    model = R2Plus1D(CLASSES, width=width).eval()
    _vary_norms(model)
    nn.init.normal_(model.fc.weight, std=model.fc.in_features**-0.5)
    return Subject(
        checkpoint=Checkpoint(
            model=model,
            spec=spec,
            labels=tuple(f"class {number}" for number in range(CLASSES)),
            width=width,
            training={},
        ),
        frames=made_clips(clips, spec=spec),
        flop_per_clip=flop_per_clip(width=width, spec=spec),
    )


def made_clips(number: int, *, spec: ClipSpec) -> Tensor:
    """Clips (N, T, S, S, 3) uint8 of moving blots of colour, each clip unlike the others."""
    coarse = 255 * torch.rand(number, RGB, 4, 5, 5)
    size = (spec.num_frames, spec.crop, spec.crop)
    clips = interpolate(coarse, size=size, mode="trilinear").byte()
    return clips.permute(0, 2, 3, 4, 1).contiguous()


def flop_per_clip(*, width: float, spec: ClipSpec) -> int:
    """Multiplications and additions of one clip, without those of norms and activations."""
    with torch.device("meta"):
        network = R2Plus1D(CLASSES, width=width).eval()
        clip = torch.empty(1, RGB, spec.num_frames, spec.crop, spec.crop)
    with FlopCounterMode(display=False) as counter:
        network(clip)
    return int(counter.get_total_flops())


def bytes_per_clip(*, width: float, spec: ClipSpec, clips: int) -> int:
    """What one of ``clips`` of a call makes the layers read and write in FP32 when no cache keeps
    anything: inputs and outputs of convolutions and classifier, and their weights once a call.

    Norms and activations are counted as parts of the convolutions, as engines fuse them.
    """
    moved = weights = 0

    def count(layer: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        nonlocal moved, weights
        moved += sum(one.nbytes for one in given) + made.nbytes
        weights += sum(one.nbytes for one in layer.parameters())

    with torch.device("meta"):
        network = R2Plus1D(CLASSES, width=width).eval()
        clip = torch.empty(1, RGB, spec.num_frames, spec.crop, spec.crop)
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.Linear):
            layer.register_forward_hook(count)
    network(clip)
    return moved + weights // clips


def torchvisions(model: nn.Module) -> nn.Module:
    """torchvision's own network, its ``forward`` too, with the parts of ``model``, an R2Plus1D.

    At width 1 that is ``r2plus1d_18``. It gives logits only.
    """
    with torch.device("meta"):
        network: nn.Module = r2plus1d_18()
    for name, part in model.named_children():
        setattr(network, name, part)
    return network.eval()


def _vary_norms(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.normal_(cast(Tensor, module.running_mean), std=0.1)
            nn.init.uniform_(cast(Tensor, module.running_var), 0.8, 1.25)
            nn.init.uniform_(module.weight, 0.8, 1.25)
            nn.init.normal_(module.bias, std=0.1)
