"""Training clips at given times of a video: those of the grid, or those that were labelled.

Like ``dataset.TrainingClips`` every random number of a sample is keyed by (seed, epoch, index).
A sample is R clips of one video, which may share one loss, and its target: the index of a class, or
shares of the classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionfit.inference.clip import ClipSpec
from motionfit.inference.sampling import clip_length_us, frames_on_screen, sample_times
from motionfit.training.augment import augmented, flow_augmentation, picture_augmentation
from motionfit.training.cached_video import CachedVideo
from motionfit.training.config import Augment
from motionfit.training.dataset import HIGHEST_RATE, LOWEST_RATE, Key, Timed
from motionfit.training.flow_video import FlowVideo

Target = int | Tensor
"""The index of a class, or shares of all classes (C,) float32"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """Pieces of one video that have the same target."""

    video: CachedVideo
    spans_us: Sequence[tuple[int, int]]
    """Where each piece begins and ends."""
    target: Target


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowClips:
    """The grid clips of one video, as flow."""

    video: FlowVideo
    target: Target


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """One clip as pictures and as flow."""

    video: CachedVideo
    start_us: int
    flow: FlowVideo
    clip: int
    """Which of the grid clips it is."""
    target: Target


class PictureSamples:
    """Clips (R, T, S, S, 3) uint8 anywhere within R pieces of a video, at a jittered rate."""

    def __init__(
        self,
        pieces: Sequence[Pieces],
        *,
        spec: ClipSpec,
        augment: Augment,
        clips_each: int,
        seed: int,
    ) -> None:
        self.clips_each = clips_each
        self._pieces = pieces
        self._spec = spec
        self._rate_jitter = augment.rate_jitter
        self._augmentation = picture_augmentation(augment, crop=spec.crop)
        self._seed = seed

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, key: Key) -> tuple[Tensor, Target]:
        epoch, index = key
        sample = self._pieces[index]
        numbers = np.random.default_rng((self._seed, epoch, index))
        clips = [
            self._clip(sample.video, sample.spans_us[place], numbers)
            for place in drawn(len(sample.spans_us), self.clips_each, numbers)
        ]
        return torch.stack(clips), sample.target

    def _clip(
        self, video: CachedVideo, span_us: tuple[int, int], numbers: np.random.Generator
    ) -> Tensor:
        chosen = frames_within(
            video, span_us, spec=self._spec, rate_jitter=self._rate_jitter, numbers=numbers
        )
        frames = torch.from_numpy(video.pictures(chosen)).permute(0, 3, 1, 2)
        clip = augmented(frames, self._augmentation, seed=int(numbers.integers(2**62)))
        return clip.permute(0, 2, 3, 1)


class FlowSamples:
    """Grid clips (R, T, S, S, 2) float32 of flow, read from where it was stored."""

    def __init__(
        self,
        videos: Sequence[FlowClips],
        *,
        crop: int,
        augment: Augment,
        clips_each: int,
        seed: int,
    ) -> None:
        self.clips_each = clips_each
        self._videos = videos
        self._augmentation = flow_augmentation(augment, crop=crop)
        self._seed = seed

    def __len__(self) -> int:
        return len(self._videos)

    def __getitem__(self, key: Key) -> tuple[Tensor, Target]:
        epoch, index = key
        sample = self._videos[index]
        numbers = np.random.default_rng((self._seed, epoch, index))
        clips = []
        for place in drawn(len(sample.video.starts_us), self.clips_each, numbers):
            flow = torch.from_numpy(sample.video.clip(int(place))).permute(0, 3, 1, 2)
            seed = int(numbers.integers(2**62))
            # A crop that is enlarged makes vectors longer, perhaps beyond the bound.
            clip = augmented(flow, self._augmentation, seed=seed).clamp(-1, 1)
            clips.append(clip.permute(0, 2, 3, 1))
        return torch.stack(clips), sample.target


class PairSamples:
    """The same clip as pictures (1, T, S, S, 3) uint8 and flow (1, T, S, S, 2) float32, cropped and
    mirrored alike.
    """

    clips_each = 1

    def __init__(
        self, pairs: Sequence[Pair], *, spec: ClipSpec, augment: Augment, seed: int
    ) -> None:
        self._pairs = pairs
        self._spec = spec
        self._pictures = picture_augmentation(augment, crop=spec.crop)
        self._flow = flow_augmentation(augment, crop=spec.crop)
        self._seed = seed

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor, Target]:
        epoch, index = key
        pair = self._pairs[index]
        numbers = np.random.default_rng((self._seed, epoch, index))
        times = sample_times(pair.start_us, spec=self._spec)
        chosen = frames_on_screen(times, frame_times_us=pair.video.times_us)
        frames = torch.from_numpy(pair.video.pictures(chosen)).permute(0, 3, 1, 2)
        flow = torch.from_numpy(pair.flow.clip(pair.clip)).permute(0, 3, 1, 2)
        seed = int(numbers.integers(2**62))
        seen = augmented(frames, self._pictures, seed=seed).permute(0, 2, 3, 1)
        moving = augmented(flow, self._flow, seed=seed).clamp(-1, 1).permute(0, 2, 3, 1)
        return seen[None], moving[None], pair.target


def drawn(count: int, wanted: int, numbers: np.random.Generator) -> NDArray[np.int64]:
    """``wanted`` of ``count`` places at random, none twice unless there are too few."""
    return numbers.choice(count, wanted, replace=wanted > count)


def frames_within(
    video: Timed,
    span_us: tuple[int, int],
    *,
    spec: ClipSpec,
    rate_jitter: float,
    numbers: np.random.Generator,
) -> NDArray[np.int64]:
    """Indices (T,) int64 of a clip anywhere within a piece of a video, at a rate off the spec's by
    at most the share ``rate_jitter``. A clip that is longer than its piece has the same middle.
    """
    rate = spec.frame_rate * numbers.uniform(1 - rate_jitter, 1 + rate_jitter)
    jittered = replace(spec, frame_rate=min(max(rate, LOWEST_RATE), HIGHEST_RATE))
    begin, end = span_us
    slack = end - begin - clip_length_us(jittered)
    start = begin + (int(numbers.integers(slack + 1)) if slack > 0 else slack // 2)
    times = sample_times(max(0, start), spec=jittered)
    return frames_on_screen(times, frame_times_us=video.times_us)
