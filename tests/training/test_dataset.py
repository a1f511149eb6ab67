from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.sampling import MICROSECONDS
from motionfit.inference.video import read_frames
from motionfit.training.cached_video import CachedVideo, Stored
from motionfit.training.config import Augment
from motionfit.training.dataset import (
    BatchKeys,
    Epochs,
    Key,
    LabelledVideo,
    TrainingClips,
    clips_loader,
    random_frames,
)

SPEC = ClipSpec(num_frames=8, frame_rate=10.0, short_side=20, crop=16)
PLAIN = Augment(crop_area=1.0, flip=False, brightness=0, contrast=0, saturation=0, grayscale=0)

MakeVideo = Callable[..., CachedVideo]


@pytest.fixture
def video(tmp_path: Path) -> MakeVideo:
    """``video(frame_rate=)``: noise, a picture of its own at each time or one and the same."""

    def make(*, frame_rate: int, seconds: float = 4.0, still: bool = False) -> CachedVideo:
        count = round(seconds * frame_rate)
        pictures = np.random.default_rng(5).integers(0, 256, (count, 20, 28, 3), np.uint8)
        if still:
            pictures[:] = pictures[0]
        file = tmp_path / f"{frame_rate}-{seconds}-{still}"
        pictures.tofile(file)
        return CachedVideo(
            path=file.with_suffix(".mp4"),
            shape=pictures.shape,
            times_us=np.arange(count, dtype=np.int64) * MICROSECONDS // frame_rate,
            duration_us=round(seconds * MICROSECONDS),
            stored=Stored(file=file, offset=0),
        )

    return make


def training_clips(*videos: CachedVideo, augment: Augment | None = None) -> TrainingClips:
    samples = [LabelledVideo(video=video, label=index % 2) for index, video in enumerate(videos)]
    return TrainingClips(samples, spec=SPEC, augment=augment or Augment(), seed=1)


@pytest.fixture
def clips(video: MakeVideo) -> TrainingClips:
    return training_clips(*(video(frame_rate=rate) for rate in (24, 25, 30, 50, 60, 12, 15)))


def test_a_clip_depends_only_on_seed_epoch_and_sample(clips: TrainingClips) -> None:
    keys = [(1, 0), (1, 1), (2, 0), (1, 3)]
    there = {key: clips[key][0] for key in keys}
    torch.rand(7)
    back = {key: clips[key][0] for key in reversed(keys)}
    for key in keys:
        assert torch.equal(there[key], back[key])
    other_seed = TrainingClips(clips.videos, spec=SPEC, augment=Augment(), seed=2)
    assert not torch.equal(there[1, 0], there[2, 0])
    assert not torch.equal(there[1, 0], other_seed[1, 0][0])


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
def test_batches_depend_neither_on_the_number_of_worker_processes_nor_on_the_random_state(
    clips: TrainingClips,
) -> None:
    before = torch.random.get_rng_state()
    keys = BatchKeys(len(clips), batch_size=3, length=Epochs(2), seed=1)
    alone = list(clips_loader(clips, keys, workers=0))
    assert len(alone) == len(keys) == 4
    for frames, labels in alone:
        assert (frames.shape, frames.dtype) == ((3, 8, 16, 16, 3), torch.uint8)
        assert (labels.shape, labels.dtype) == ((3,), torch.int64)
    for workers in (1, 3):
        shared = clips_loader(clips, keys, workers=workers)
        for expected, got in zip(alone, shared, strict=True):
            assert torch.equal(got[0], expected[0])
            assert torch.equal(got[1], expected[1])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_clip_of_a_real_video_is_the_same_whether_its_frames_are_kept_or_not(
    real_clip: Path, tmp_path: Path
) -> None:
    frames = read_frames(real_clip, short_side=20)
    frames.frames.tofile(tmp_path / "frames")
    kept, anew = (
        CachedVideo(
            path=real_clip,
            shape=frames.frames.shape,
            times_us=frames.times_us,
            duration_us=frames.duration_us,
            stored=stored,
            seekable=True,
        )
        for stored in (Stored(file=tmp_path / "frames", offset=0), None)
    )
    for epoch in range(1, 4):
        one, other = training_clips(kept)[epoch, 0], training_clips(anew)[epoch, 0]
        assert torch.equal(one[0], other[0])


def test_making_a_clip_leaves_the_global_random_state_alone(clips: TrainingClips) -> None:
    before = torch.random.get_rng_state()
    clips[1, 0]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_clip_is_a_square_of_uint8_and_all_its_frames_are_treated_alike(
    video: MakeVideo,
) -> None:
    clips = training_clips(video(frame_rate=25, still=True))
    for epoch in range(1, 5):
        frames, label = clips[epoch, 0]
        assert (frames.shape, frames.dtype, label) == ((8, 16, 16, 3), torch.uint8, 0)
        assert torch.equal(frames, frames[:1].expand_as(frames))


def test_the_configuration_of_the_augmentation_counts(video: MakeVideo) -> None:
    source = video(frame_rate=25, still=True)
    plain = training_clips(source, augment=PLAIN)
    grey = training_clips(source, augment=PLAIN.model_copy(update={"grayscale": 1.0}))
    assert (plain[1, 0][0][..., 0] != plain[1, 0][0][..., 1]).any()
    assert torch.equal(grey[1, 0][0][..., 0], grey[1, 0][0][..., 1])


@pytest.mark.parametrize("frame_rate", [20, 60, 120])
def test_frames_are_chosen_by_time_not_by_number(video: MakeVideo, frame_rate: int) -> None:
    source = video(frame_rate=frame_rate)
    steps = []
    for seed in range(40):
        numbers = np.random.default_rng(seed)
        chosen = random_frames(source, spec=SPEC, rate_jitter=0.2, numbers=numbers)
        times = source.times_us[chosen]
        span = (times[-1] - times[0]) / MICROSECONDS
        steps.append(span / 7)
        assert 0.7 / 12 - 1 / frame_rate / 7 <= steps[-1] <= 1 / 8 + 1 / frame_rate / 7
    # The jitter of 20 % either way is really used.
    assert min(steps) < 0.09
    assert max(steps) > 0.115


def test_without_jitter_the_rate_is_the_specs(video: MakeVideo) -> None:
    source = video(frame_rate=120)
    for seed in range(10):
        numbers = np.random.default_rng(seed)
        chosen = random_frames(source, spec=SPEC, rate_jitter=0.0, numbers=numbers)
        np.testing.assert_array_equal(np.diff(chosen), 12)


def test_the_same_scene_at_two_frame_rates_gives_the_same_moments(video: MakeVideo) -> None:
    slow, fast = video(frame_rate=30), video(frame_rate=60)
    for seed in range(10):
        times = []
        for source in (slow, fast):
            numbers = np.random.default_rng(seed)
            chosen = random_frames(source, spec=SPEC, rate_jitter=0.2, numbers=numbers)
            times.append(source.times_us[chosen])
        assert np.abs(times[0] - times[1]).max() <= MICROSECONDS // 60 + 1


def test_a_video_shorter_than_a_clip_holds_its_last_frame(video: MakeVideo) -> None:
    short = video(frame_rate=25, seconds=0.2)
    numbers = np.random.default_rng(0)
    chosen = random_frames(short, spec=SPEC, rate_jitter=0.2, numbers=numbers)
    assert chosen[0] == 0
    assert set(chosen[3:].tolist()) == {4}


def flat(keys: BatchKeys) -> list[Key]:
    return [key for batch in keys for key in batch]


def test_each_epoch_has_every_video_once_in_an_order_of_its_own() -> None:
    keys = BatchKeys(50, batch_size=10, length=Epochs(3), seed=3)
    assert (len(keys), keys.steps_per_epoch) == (15, 5)
    batches = list(keys)
    assert [len(batch) for batch in batches] == [10] * 15
    orders = []
    for epoch in (1, 2, 3):
        epochs, order = zip(*sum(batches[5 * epoch - 5 : 5 * epoch], []), strict=True)
        assert set(epochs) == {epoch}
        assert sorted(order) == list(range(50))
        orders.append(order)
    assert len(set(orders)) == 3
    assert list(keys) == batches
    assert flat(BatchKeys(50, batch_size=10, length=Epochs(3), seed=4)) != flat(keys)


def test_an_incomplete_step_is_dropped() -> None:
    keys = BatchKeys(50, batch_size=16, length=Epochs(2), seed=3)
    assert (len(keys), keys.steps_per_epoch) == (6, 3)
    assert {len(batch) for batch in keys} == {16}
    assert len(set(flat(keys))) == 96


@pytest.mark.parametrize("first_step", [0, 1, 5, 7, 14, 15])
def test_a_run_goes_on_from_any_step_as_if_it_had_not_stopped(first_step: int) -> None:
    whole = list(BatchKeys(50, batch_size=10, length=Epochs(3), seed=3))
    rest = BatchKeys(50, batch_size=10, length=Epochs(3), seed=3, first_step=first_step)
    assert list(rest) == whole[first_step:]
    assert len(rest) == 15 - first_step
    assert rest.steps_per_epoch == 5


def test_processes_share_what_one_process_would_take_in_bigger_batches() -> None:
    alone = BatchKeys(50, batch_size=12, length=Epochs(2), seed=3)
    shares = [
        BatchKeys(50, batch_size=4, length=Epochs(2), seed=3, process=process, processes=3)
        for process in range(3)
    ]
    assert [sum(batches, []) for batches in zip(*shares, strict=True)] == list(alone)


def test_with_few_videos_a_batch_is_what_there_is() -> None:
    few = BatchKeys(5, batch_size=16, length=Epochs(2), seed=3)
    assert (few.batch_size, few.steps_per_epoch, len(few)) == (5, 1, 2)
    halves = [
        BatchKeys(5, batch_size=16, length=Epochs(1), seed=3, process=p, processes=2)
        for p in (0, 1)
    ]
    assert [len(flat(half)) for half in halves] == [2, 2]
    assert not set(flat(halves[0])) & set(flat(halves[1]))
    with pytest.raises(DatasetError, match="3 videos are too few for 4 processes"):
        BatchKeys(3, batch_size=16, length=Epochs(1), seed=3, processes=4)
