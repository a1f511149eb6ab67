"""The student: R(2+1)D-18 with torchvision's parameter names, at a chosen width."""

from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models.video.resnet import BasicBlock  # type: ignore[import-untyped]

from motionfit.inference.clip import ClipSpec
from motionfit.training.temporal import SpaceThenTime, TemporalConv

STEM_MIDDLE = 45
STAGES = (64, 128, 256, 512)
RGB, FLOW = 3, 2
"""Channels of the two kinds of clips."""


class R2Plus1D(nn.Module):
    """R(2+1)D-18. At width 1 torchvision's ``R2Plus1D_18_Weights`` load with ``strict=True``.

    ``width`` multiplies every channel count: 0.25 has about 2 M parameters, 1.0 has 31 M.
    ``channels`` is 3 for RGB and 2 for optical flow.
    """

    def __init__(self, num_classes: int, *, width: float = 1.0, channels: int = RGB) -> None:
        super().__init__()
        stages = [_scaled(channels, width) for channels in STAGES]
        self.stem = _stem(channels, _scaled(STEM_MIDDLE, width), stages[0])
        self.layer1 = _stage(stages[0], stages[0], stride=1)
        self.layer2 = _stage(stages[0], stages[1], stride=2)
        self.layer3 = _stage(stages[1], stages[2], stride=2)
        self.layer4 = _stage(stages[2], stages[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(stages[3], num_classes)
        self.apply(_initialise)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) and embedding (N, 512 x width) of clips (N, channels, T, H, W).

        ``clips`` is float32, as ``network_input`` makes it.
        """
        features = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(clips)))))
        embedding = self.avgpool(features).flatten(1)
        return self.fc(embedding), embedding


def normalised(frames: Tensor, *, spec: ClipSpec) -> Tensor:
    """Frames (N, T, H, W, 3) uint8 as the float32 clips (N, 3, T, H, W) that the model takes.

    The result is a view with the channels last in memory, which the convolutions prefer.
    """
    mean = torch.tensor(spec.mean, device=frames.device)
    std = torch.tensor(spec.std, device=frames.device)
    return ((frames.float() / 255 - mean) / std).permute(0, 4, 1, 2, 3)


def network_input(clips: Tensor, *, spec: ClipSpec) -> Tensor:
    """The float32 clips (N, channels, T, S, S) that the model takes: of RGB (N, T, S, S, 3) uint8,
    or of optical flow (N, T, S, S, 2) float32 in units of its bound (-1 to 1).

    Each field of flow loses its mean vector, which is mostly the camera's motion (Simonyan and
    Zisserman, Two-Stream Convolutional Networks, 2014). Then each component is replaced by its
    square root, the sign kept, because most motion is a few hundredths of the bound: our choice.
    """
    if clips.shape[-1] == RGB:
        return normalised(clips, spec=spec)
    moving = clips - clips.mean((2, 3), keepdim=True)
    return (moving.sign() * moving.abs().sqrt()).permute(0, 4, 1, 2, 3)


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def _stem(channels: int, middle: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels, middle, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        TemporalConv(middle, out),
        nn.BatchNorm3d(out),
        nn.ReLU(inplace=True),
    )


def _stage(planes_in: int, planes: int, *, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or planes_in != planes:
        shortcut = nn.Sequential(
            nn.Conv3d(planes_in, planes, 1, stride=stride, bias=False), nn.BatchNorm3d(planes)
        )
    return nn.Sequential(
        BasicBlock(planes_in, planes, SpaceThenTime, stride, shortcut),
        BasicBlock(planes, planes, SpaceThenTime),
    )


def _initialise(module: nn.Module) -> None:
    """Torchvision's starting values, so that width 1 starts as its r2plus1d_18 does."""
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
        nn.init.zeros_(cast(Tensor, module.bias))
