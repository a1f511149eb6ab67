"""The convolution over time of R(2+1)D, whose gradient is right on every processor.

oneDNN 3.12 (in PyTorch 2.14) computes a wrong gradient of the weights of a 3 x 1 x 1 convolution of
two moments in bfloat16 on processors with AVX-512 bf16 and no AMX, such as AMD's Zen 4: it reads
memory that nobody wrote. Such convolutions are in every R(2+1)D-18 of 8 or 16 frames. In two
dimensions, time and place, the same sum has another kernel, which is right and as fast.
"""

from torch import Tensor, nn
from torch.nn import functional

TAPS = 3
MOMENTS = 2
"""Of clips that oneDNN's kernel for three dimensions is wrong for."""


class TemporalConv(nn.Conv3d):
    """A convolution over three neighbouring moments, of which every ``stride``-th is kept.

    While it trains on a CPU, clips of two moments are taken in two dimensions.
    """

    def __init__(self, channels: int, out: int, *, stride: int = 1) -> None:
        super().__init__(
            channels, out, (TAPS, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False
        )

    def forward(self, clips: Tensor) -> Tensor:
        """(N, out, T', H, W) of clips (N, channels, T, H, W)."""
        if not self.training or clips.shape[2] != MOMENTS or clips.device.type != "cpu":
            return super().forward(clips)
        # With the channels last in memory, as everywhere while training, these are views.
        found = functional.conv2d(
            clips.flatten(3),
            self.weight.squeeze(-1),
            self.bias,
            stride=(self.stride[0], 1),
            padding=(1, 0),
        )
        return found.reshape(*found.shape[:3], *clips.shape[3:])


class SpaceThenTime(nn.Sequential):
    """torchvision's Conv2Plus1D, part by part, with the convolution over time as above."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv3d(
                in_planes,
                midplanes,
                (1, TAPS, TAPS),
                stride=(1, stride, stride),
                padding=(0, 1, 1),
                bias=False,
            ),
            nn.BatchNorm3d(midplanes),
            nn.ReLU(inplace=True),
            TemporalConv(midplanes, out_planes, stride=stride),
        )
