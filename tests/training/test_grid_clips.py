from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch.utils.data import default_collate

from motionfit.inference.clip import ClipSpec
from motionfit.inference.sampling import clip_length_us, frames_on_screen, sample_times
from motionfit.training.cache import Cache, open_cache
from motionfit.training.cached_video import CachedVideo, Stored
from motionfit.training.config import Augment, Input
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_store import FlowSet, open_flow
from motionfit.training.flow_video import FlowVideo, quantised, write_flow
from motionfit.training.grid import grid_starts
from motionfit.training.grid_clips import (
    FlowClips,
    FlowSamples,
    Pair,
    PairSamples,
    PictureSamples,
    Pieces,
    frames_within,
)
from motionfit.training.manifest import read_manifest

QUIET = Console(quiet=True)
PLAIN = Augment(
    rate_jitter=0.0, crop_area=1.0, flip=False, brightness=0, contrast=0, saturation=0, grayscale=0
)


@pytest.fixture(scope="module")
def cache(dataset: Path, spec: ClipSpec) -> Iterator[Cache]:
    rows = read_manifest(dataset)
    with open_cache(rows, short_side=spec.short_side, config=Input(), console=QUIET) as opened:
        yield opened


@pytest.fixture(scope="module")
def flows(dataset: Path, spec: ClipSpec, tmp_path_factory: pytest.TempPathFactory) -> FlowSet:
    flow = FlowSpec.of(spec, method="dis", compute_side=48, gap_seconds=0.1, grid_clips=3)
    folder = tmp_path_factory.mktemp("flow")
    return open_flow(read_manifest(dataset), folder=folder, spec=flow, console=QUIET)


def spans_of(video: CachedVideo, spec: ClipSpec, clips: int) -> tuple[tuple[int, int], ...]:
    starts = grid_starts(video.duration_us, spec=spec, clips=clips)
    return tuple((int(start), int(start) + clip_length_us(spec)) for start in starts)


def picture_samples(
    cache: Cache, spec: ClipSpec, *, clips_each: int, augment: Augment, seed: int = 0
) -> PictureSamples:
    pieces = [
        Pieces(video=video, spans_us=spans_of(video, spec, 3), target=number % 2)
        for number, (_, video) in enumerate(cache.videos)
    ]
    return PictureSamples(pieces, spec=spec, augment=augment, clips_each=clips_each, seed=seed)


def test_pictures_are_clips_of_the_video_at_the_times_given(
    cache: Cache, spec: ClipSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    pictures = CachedVideo.pictures

    def noted(video: CachedVideo, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        asked.append(tuple(indices.tolist()))
        return pictures(video, indices)

    monkeypatch.setattr(CachedVideo, "pictures", noted)
    samples = picture_samples(cache, spec, clips_each=3, augment=PLAIN)
    clips, target = samples[1, 4]
    assert (clips.shape, clips.dtype, target) == ((3, 2, 16, 16, 3), torch.uint8, 0)
    _, video = cache.videos[4]
    grid = [
        frames_on_screen(sample_times(start, spec=spec), frame_times_us=video.times_us)
        for start, _ in spans_of(video, spec, 3)
    ]
    assert sorted(asked) == sorted(tuple(one.tolist()) for one in grid)


def test_a_sample_depends_on_seed_epoch_and_index_alone(cache: Cache, spec: ClipSpec) -> None:
    samples = picture_samples(cache, spec, clips_each=2, augment=Augment())
    first = samples[3, 5][0]
    samples[1, 1]
    assert torch.equal(samples[3, 5][0], first)
    assert not torch.equal(samples[4, 5][0], first)
    other = picture_samples(cache, spec, clips_each=2, augment=Augment(), seed=1)
    assert not torch.equal(other[3, 5][0], first)


def test_a_clip_stays_within_its_piece_or_shares_its_middle(cache: Cache, spec: ClipSpec) -> None:
    _, video = cache.videos[0]
    numbers = np.random.default_rng(0)
    long = (100_000, 900_000)
    for _ in range(50):
        chosen = frames_within(video, long, spec=spec, rate_jitter=0.2, numbers=numbers)
        assert long[0] - 84_000 <= video.times_us[chosen[0]] <= video.times_us[chosen[-1]] < long[1]
    short = (400_000, 500_000)  # a clip of 333 ms has its middle at 450 ms, so starts at 283
    chosen = frames_within(video, short, spec=spec, rate_jitter=0.0, numbers=numbers)
    moments = sample_times(450_000 - clip_length_us(spec) // 2, spec=spec)
    assert np.array_equal(chosen, frames_on_screen(moments, frame_times_us=video.times_us))


def test_flow_samples_are_the_stored_grid_clips_each_at_most_once(
    flows: FlowSet, spec: ClipSpec
) -> None:
    samples = FlowSamples(
        [FlowClips(video=video, target=1) for _, video in flows.videos],
        crop=24,
        augment=PLAIN.model_copy(update={"crop_area": 1.0}),
        clips_each=3,
        seed=0,
    )
    clips, target = samples[1, 2]
    assert (clips.shape, clips.dtype, target) == ((3, 2, 24, 24, 2), torch.float32, 1)
    assert clips.abs().max() <= 1
    means = sorted(float(clip.mean()) for clip in clips)
    _, video = flows.videos[2]
    assert len(set(means)) == len({video.clip(place).tobytes() for place in range(3)})
    again = FlowSamples(
        [FlowClips(video=flows.videos[2][1], target=1)],
        crop=24,
        augment=PLAIN,
        clips_each=5,
        seed=0,
    )
    assert again[1, 0][0].shape[0] == 5  # more than there are: some twice


def test_flow_that_a_crop_enlarges_beyond_its_bound_is_cut_to_it(tmp_path: Path) -> None:
    fast = np.full((1, 32, 32, 2), 9.0, np.float32)
    fields = quantised(fast, bound_px=10.0)
    write_flow(
        tmp_path / "fast.flow",
        fields,
        places=np.zeros((1, 2), np.int32),
        starts_us=np.zeros(1, np.int64),
    )
    video = FlowVideo.open(tmp_path / "fast.flow")
    assert video is not None
    augment = PLAIN.model_copy(update={"crop_area": 0.1})
    samples = FlowSamples(
        [FlowClips(video=video, target=0)], crop=16, augment=augment, clips_each=1, seed=0
    )
    largest = [float(samples[epoch, 0][0].abs().max()) for epoch in range(1, 20)]
    assert max(largest) == 1.0
    assert min(largest) < 0.95  # a crop of nearly the whole is made smaller


class Ramp:
    """A video and its flow whose values grow from left to right alike."""

    def __init__(self, folder: Path) -> None:
        columns = np.broadcast_to(np.linspace(0, 0.5, 48, dtype=np.float32), (2, 32, 48))
        rows = np.broadcast_to(np.linspace(0, 0.5, 32, dtype=np.float32)[:, None], (2, 32, 48))
        self.frames = np.stack([columns, rows, columns], -1) * 2 * 255
        self.flow = np.stack([columns, rows], -1)
        self.folder = folder

    def pair(self) -> Pair:
        file = self.folder / "frames"
        self.frames.astype(np.uint8).tofile(file)
        video = CachedVideo(
            path=file,
            shape=self.frames.shape,
            times_us=np.array([0, 166_667]),
            duration_us=333_333,
            stored=Stored(file=file, offset=0),
        )
        write_flow(
            self.folder / "ramp.flow",
            quantised(self.flow, bound_px=1.0),
            places=np.array([[0, 1]], np.int32),
            starts_us=np.zeros(1, np.int64),
        )
        flow = FlowVideo.open(self.folder / "ramp.flow")
        assert flow is not None
        return Pair(video=video, start_us=0, flow=flow, clip=0, target=1)


def test_pictures_and_flow_of_a_pair_are_cropped_and_mirrored_alike(
    tmp_path: Path, spec: ClipSpec
) -> None:
    augment = PLAIN.model_copy(update={"crop_area": 0.3, "flip": True})
    samples = PairSamples([Ramp(tmp_path).pair()], spec=spec, augment=augment, seed=0)
    mirrored = 0
    for epoch in range(1, 21):
        frames, flow, target = samples[epoch, 0]
        assert (frames.shape, flow.shape, target) == ((1, 2, 16, 16, 3), (1, 2, 16, 16, 2), 1)
        across = frames[0, 0, :, :, 0].float() / 510  # what the flow was before it was enlarged
        moved = flow[0, 0, :, :, 0]
        turned = bool(across[8, -1] < across[8, 0])
        mirrored += turned
        enlarged = moved * (-1 if turned else 1)
        inner = across > 0.05
        ratio = (enlarged[inner] / across[inner]).median()
        assert torch.allclose(
            enlarged[inner].clamp(max=0.98), (across[inner] * ratio).clamp(max=0.98), atol=0.05
        )
    assert 0 < mirrored < 20


def test_samples_are_collated_into_batches(cache: Cache, spec: ClipSpec) -> None:
    soft = [
        Pieces(video=video, spans_us=((0, 333_333),), target=torch.tensor([0.3, 0.7]))
        for _, video in cache.videos
    ]
    samples = PictureSamples(soft, spec=spec, augment=Augment(), clips_each=1, seed=0)
    batch: Sequence[torch.Tensor] = default_collate([samples[1, index] for index in range(3)])
    assert batch[0].shape == (3, 1, 2, 16, 16, 3)
    assert torch.equal(batch[1], torch.tensor([[0.3, 0.7]]).expand(3, 2))
