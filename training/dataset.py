"""Training clips: a random piece of a decoded video in time, space and colour.

Every random number of a clip is keyed by (seed, epoch, index of the video), so a clip does not
depend on which process makes it, nor on what was made before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.sampling import Times, clip_length_us, frames_on_screen, sample_times
from motionfit.training.augment import augmented, picture_augmentation
from motionfit.training.cached_video import CachedVideo
from motionfit.training.config import Augment
from motionfit.training.workers import WorkerContext

LOWEST_RATE, HIGHEST_RATE = 0.01, 240.0  # what a ClipSpec takes

Key = tuple[int, int]
"""(epoch, counted from 1; index of the video)"""


@dataclass(frozen=True, kw_only=True)
class LabelledVideo:
    """A video and the index of its class."""

    video: CachedVideo
    label: int


class Timed(Protocol):
    """What choosing moments of a video takes."""

    @property
    def times_us(self) -> Times:
        """(F,) int64, ascending from 0: when each frame comes on screen."""

    @property
    def duration_us(self) -> int:
        """When the last frame leaves the screen."""


Batch = Sequence[Tensor]
"""What a loss takes: clips of N samples, whatever belongs to them, and last the targets"""


@dataclass(frozen=True)
class Epochs:
    """The length of a run in passes over the samples."""

    number: int


class Clips(Protocol):
    """Training samples made on demand. Picklable."""

    @property
    def clips_each(self) -> int:
        """Clips of a sample: R where R clips of a video share one loss."""

    def __len__(self) -> int:
        """How many samples there are."""

    def __getitem__(self, key: Key) -> Sequence[Tensor | int]:
        """One sample, without the first dimension of a batch."""


class TrainingClips(Dataset[tuple[Tensor, int]]):
    """Random clips (T, S, S, 3) uint8 with their labels, asked for by (epoch, index of video)."""

    clips_each = 1

    def __init__(
        self, videos: Sequence[LabelledVideo], *, spec: ClipSpec, augment: Augment, seed: int
    ) -> None:
        self.videos = videos
        self.spec = spec
        self.seed = seed
        self._rate_jitter = augment.rate_jitter
        self._augmentation = picture_augmentation(augment, crop=spec.crop)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        epoch, index = key
        sample = self.videos[index]
        numbers = np.random.default_rng((self.seed, epoch, index))
        chosen = random_frames(
            sample.video, spec=self.spec, rate_jitter=self._rate_jitter, numbers=numbers
        )
        frames = torch.from_numpy(sample.video.pictures(chosen)).permute(0, 3, 1, 2)
        clip = augmented(frames, self._augmentation, seed=int(numbers.integers(2**62)))
        return clip.permute(0, 2, 3, 1), sample.label


def random_frames(
    video: Timed, *, spec: ClipSpec, rate_jitter: float, numbers: np.random.Generator
) -> NDArray[np.int64]:
    """Indices (T,) int64 of a clip that starts anywhere, at a rate off the spec's by at most the
    share ``rate_jitter``.
    """
    rate = spec.frame_rate * numbers.uniform(1 - rate_jitter, 1 + rate_jitter)
    jittered = replace(spec, frame_rate=min(max(rate, LOWEST_RATE), HIGHEST_RATE))
    slack = max(0, video.duration_us - clip_length_us(jittered))
    start = int(numbers.integers(slack + 1))
    times = sample_times(start, spec=jittered)
    return frames_on_screen(times, frame_times_us=video.times_us)


class BatchKeys(Sampler[list[Key]]):
    """The batches of a whole run for one of its processes, from step ``first_step`` on.

    ``length`` is a number of epochs or, as a plain number, of samples. Each epoch has an order of
    its own, of which each process takes its share; videos that do not fill a step of all processes
    wait for another epoch. A batch is smaller than asked for when there are not enough videos for
    one step. Raises DatasetError when a process would get none.
    """

    def __init__(
        self,
        num_videos: int,
        *,
        batch_size: int,
        length: Epochs | int,
        seed: int,
        first_step: int = 0,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.batch_size = min(batch_size, num_videos // processes)
        if not self.batch_size:
            raise DatasetError(
                f"{num_videos} videos are too few for {processes} processes: each needs one"
            )
        self.steps_per_epoch = num_videos // (self.batch_size * processes)
        self.total_steps = (
            length.number * self.steps_per_epoch
            if isinstance(length, Epochs)
            else max(1, round(length / (self.batch_size * processes)))
        )
        self._num_videos = num_videos
        self._steps = range(first_step, self.total_steps)
        self._seed = seed
        self._share = slice(process * self.batch_size, (process + 1) * self.batch_size)
        self._step_size = processes * self.batch_size

    def __iter__(self) -> Iterator[list[Key]]:
        order: list[int] = []
        for step in self._steps:
            epoch, place = divmod(step, self.steps_per_epoch)
            if place == 0 or not order:
                order = self._order(epoch + 1)
            batch = order[place * self._step_size :][self._share]
            yield [(epoch + 1, index) for index in batch]

    def __len__(self) -> int:
        """Steps that are left."""
        return len(self._steps)

    def _order(self, epoch: int) -> list[int]:
        # Keyed like one more clip: numpy pads keys with zeros, so (seed, epoch) alone is clip 0's.
        numbers = np.random.default_rng((self._seed, epoch, self._num_videos))
        order: list[int] = numbers.permutation(self._num_videos).tolist()
        return order


def clips_loader(clips: Clips, keys: BatchKeys, *, workers: int) -> "DataLoader[Any]":
    """Batches of what ``clips`` gives, made by ``workers`` processes (0: by this one): each a list
    of tensors with the samples as their first dimension.
    """
    return DataLoader(
        cast("Dataset[Any]", clips),
        batch_sampler=keys,
        num_workers=workers,
        multiprocessing_context=WorkerContext() if workers else None,
        generator=torch.Generator(),  # else each pass draws from the global one
    )
