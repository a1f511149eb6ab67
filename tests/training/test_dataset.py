import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import VideoInfo
from motionfit.inference.sampling import MICROSECONDS
from motionfit.inference.video import Frames
from motionfit.training.dataset import (
    LabelledFrames,
    ShuffledKeys,
    TrainingClips,
    random_frames,
)

SPEC = ClipSpec(num_frames=8, frame_rate=10.0, short_side=20, crop=16)


def video(*, frame_rate: int, seconds: float = 4.0, still: bool = False) -> Frames:
    count = round(seconds * frame_rate)
    numbers = np.random.default_rng(5)
    pictures = numbers.integers(0, 256, (1 if still else count, 20, 28, 3), np.uint8)
    return Frames(
        frames=np.broadcast_to(pictures, (count, 20, 28, 3)),
        times_us=np.arange(count, dtype=np.int64) * MICROSECONDS // frame_rate,
        duration_us=round(seconds * MICROSECONDS),
        info=VideoInfo(
            container="mov",
            codec="h264",
            width=28,
            height=20,
            frame_rate=float(frame_rate),
            duration_seconds=seconds,
            notes=(),
        ),
    )


@pytest.fixture
def clips() -> TrainingClips:
    samples = [LabelledFrames(video=video(frame_rate=r), label=r % 2) for r in (24, 25, 30, 50)]
    return TrainingClips(samples, spec=SPEC, seed=1)


def test_a_clip_depends_only_on_seed_epoch_and_sample(clips: TrainingClips) -> None:
    keys = [(1, 0), (1, 1), (2, 0), (1, 3)]
    there = {key: clips[key][0] for key in keys}
    torch.rand(7)
    back = {key: clips[key][0] for key in reversed(keys)}
    for key in keys:
        assert torch.equal(there[key], back[key])
    other_seed = TrainingClips(clips.videos, spec=SPEC, seed=2)
    assert not torch.equal(there[1, 0], there[2, 0])
    assert not torch.equal(there[1, 0], other_seed[1, 0][0])


@pytest.mark.parametrize("workers", [2])
def test_worker_processes_do_not_change_the_clips(clips: TrainingClips, workers: int) -> None:
    keys = ShuffledKeys(len(clips), seed=1)
    alone = [frames for frames, _ in DataLoader(clips, batch_size=2, sampler=keys)]
    shared = DataLoader(clips, batch_size=2, sampler=keys, num_workers=workers)
    for expected, (frames, _) in zip(alone, shared, strict=True):
        assert torch.equal(frames, expected)


def test_making_a_clip_leaves_the_global_random_state_alone(clips: TrainingClips) -> None:
    before = torch.random.get_rng_state()
    clips[1, 0]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_clip_is_a_square_of_uint8_and_all_its_frames_are_treated_alike() -> None:
    still = video(frame_rate=25, still=True)
    clips = TrainingClips([LabelledFrames(video=still, label=1)], spec=SPEC, seed=0)
    for epoch in range(4):
        frames, label = clips[epoch, 0]
        assert (frames.shape, frames.dtype, label) == ((8, 16, 16, 3), torch.uint8, 1)
        assert torch.equal(frames, frames[:1].expand_as(frames))


@pytest.mark.parametrize("frame_rate", [20, 60, 120])
def test_frames_are_chosen_by_time_not_by_number(frame_rate: int) -> None:
    source = video(frame_rate=frame_rate)
    steps = []
    for seed in range(40):
        chosen = random_frames(source, spec=SPEC, numbers=np.random.default_rng(seed))
        times = source.times_us[chosen]
        span = (times[-1] - times[0]) / MICROSECONDS
        steps.append(span / 7)
        assert 0.7 / 12 - 1 / frame_rate / 7 <= steps[-1] <= 1 / 8 + 1 / frame_rate / 7
    # The jitter of 20 % either way is really used.
    assert min(steps) < 0.09
    assert max(steps) > 0.115


def test_the_same_scene_at_two_frame_rates_gives_the_same_moments() -> None:
    slow, fast = video(frame_rate=30), video(frame_rate=60)
    for seed in range(10):
        at_30 = random_frames(slow, spec=SPEC, numbers=np.random.default_rng(seed))
        at_60 = random_frames(fast, spec=SPEC, numbers=np.random.default_rng(seed))
        late = slow.times_us[at_30] - fast.times_us[at_60]
        assert np.abs(late).max() <= MICROSECONDS // 60 + 1


def test_a_video_shorter_than_a_clip_holds_its_last_frame() -> None:
    short = video(frame_rate=25, seconds=0.2)
    chosen = random_frames(short, spec=SPEC, numbers=np.random.default_rng(0))
    assert chosen[0] == 0
    assert set(chosen[3:].tolist()) == {4}


def test_each_epoch_has_every_video_once_in_an_order_of_its_own() -> None:
    keys = ShuffledKeys(50, seed=3)
    orders = []
    for epoch in (1, 2, 1):
        keys.epoch = epoch
        epochs, order = zip(*keys, strict=True)
        assert set(epochs) == {epoch}
        assert sorted(order) == list(range(50))
        orders.append(order)
    assert orders[0] == orders[2] != orders[1]
