"""Training clips: a random piece of a decoded video in time, space and colour.

Every random number of a clip is keyed by (seed, epoch, sample), so a clip does not depend on which
process makes it, nor on what was made before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from torchvision.transforms import v2  # type: ignore[import-untyped]

from motionfit.inference.clip import ClipSpec
from motionfit.inference.sampling import clip_length_us, frames_on_screen, sample_times
from motionfit.inference.video import Frames

RATE_JITTER = 0.2
LOWEST_RATE, HIGHEST_RATE = 0.01, 240.0  # what a ClipSpec takes

Key = tuple[int, int]
"""(epoch, index of the video)"""


@dataclass(frozen=True, kw_only=True)
class LabelledFrames:
    """A decoded video and the index of its class."""

    video: Frames
    label: int


class TrainingClips(Dataset[tuple[Tensor, int]]):
    """Random clips (T, S, S, 3) uint8 with their labels, asked for by (epoch, index of video)."""

    def __init__(self, videos: Sequence[LabelledFrames], *, spec: ClipSpec, seed: int) -> None:
        self.videos = videos
        self.spec = spec
        self.seed = seed
        self.augment = v2.Compose(
            [
                v2.RandomResizedCrop(spec.crop, scale=(0.4, 1.0), ratio=(0.8, 1.25)),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
            ]
        )

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        epoch, index = key
        sample = self.videos[index]
        numbers = np.random.default_rng((self.seed, epoch, index))
        chosen = random_frames(sample.video, spec=self.spec, numbers=numbers)
        frames = torch.from_numpy(sample.video.frames[chosen]).permute(0, 3, 1, 2)
        # One call for all frames: the transforms draw once and treat every frame alike.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(numbers.integers(2**62)))
            clip: Tensor = self.augment(frames)
        return clip.permute(0, 2, 3, 1), sample.label


def random_frames(
    video: Frames, *, spec: ClipSpec, numbers: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Indices (T,) int64 of a clip that starts anywhere, at a rate up to 20 % off the spec's."""
    rate = spec.frame_rate * numbers.uniform(1 - RATE_JITTER, 1 + RATE_JITTER)
    jittered = replace(spec, frame_rate=min(max(rate, LOWEST_RATE), HIGHEST_RATE))
    slack = max(0, video.duration_us - clip_length_us(jittered))
    start = int(numbers.integers(slack + 1))
    times = sample_times(start, spec=jittered)
    return frames_on_screen(times, frame_times_us=video.times_us)


class ShuffledKeys(Sampler[Key]):
    """The keys of all videos; set ``epoch`` before each pass, for it decides their order."""

    def __init__(self, num_videos: int, *, seed: int) -> None:
        self.num_videos = num_videos
        self.seed = seed
        self.epoch = 0

    def __iter__(self) -> Iterator[Key]:
        # Keyed like one more clip: numpy pads keys with zeros, so (seed, epoch) alone is clip 0's.
        numbers = np.random.default_rng((self.seed, self.epoch, self.num_videos))
        order = numbers.permutation(self.num_videos)
        return ((self.epoch, int(index)) for index in order)

    def __len__(self) -> int:
        return self.num_videos
