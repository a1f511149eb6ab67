import pytest
import torch
from torch import Tensor

from motionfit.training.augment import FlowCrop, FlowFlip, augmented
from motionfit.training.augment import flow_augmentation as of_flow
from motionfit.training.augment import picture_augmentation as of_pictures
from motionfit.training.config import Augment

PLAIN = Augment(crop_area=1.0, flip=False, brightness=0, contrast=0, saturation=0, grayscale=0)
SEEDS = range(20)


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.manual_seed(1), dtype=torch.uint8)


@pytest.fixture
def ramp() -> Tensor:
    """(4, 3, 36, 48) uint8: brighter from left to right."""
    return torch.arange(0, 240, 5, dtype=torch.uint8).expand(4, 3, 36, 48)


def leans_right(clip: Tensor) -> bool:
    return bool(clip[..., -1].float().mean() > clip[..., 0].float().mean())


def test_all_frames_of_a_clip_are_changed_alike() -> None:
    still = noise(1, 3, 36, 48).expand(5, 3, 36, 48)
    change = of_pictures(Augment(grayscale=0.5), crop=24)
    for seed in SEEDS:
        clip = augmented(still, change, seed=seed)
        assert (clip.shape, clip.dtype) == ((5, 3, 24, 24), torch.uint8)
        assert torch.equal(clip, clip[:1].expand_as(clip))


def test_the_seed_alone_decides_and_the_global_random_state_stays() -> None:
    frames, change = noise(2, 3, 36, 48), of_pictures(Augment(), crop=24)
    before = torch.random.get_rng_state()
    first = augmented(frames, change, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(7)
    assert torch.equal(augmented(frames, change, seed=3), first)
    assert not torch.equal(augmented(frames, change, seed=4), first)


def test_half_of_the_clips_are_mirrored_and_none_when_flips_are_off(ramp: Tensor) -> None:
    both = of_pictures(PLAIN.model_copy(update={"flip": True}), crop=24)
    mirrored = [not leans_right(augmented(ramp, both, seed=seed)) for seed in range(60)]
    assert 15 < sum(mirrored) < 45
    never = of_pictures(PLAIN, crop=24)
    assert all(leans_right(augmented(ramp, never, seed=seed)) for seed in range(60))


def test_without_jitter_colours_stay_as_they_are() -> None:
    for value in range(256):
        plain = torch.tensor([value, 7, 255 - value], dtype=torch.uint8)[:, None, None]
        clip = augmented(plain.expand(2, 3, 36, 48), of_pictures(PLAIN, crop=24), seed=value)
        assert torch.equal(clip, plain.expand_as(clip))


@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation"])
def test_each_jitter_changes_colours_by_a_random_amount(kind: str) -> None:
    frames = noise(2, 3, 24, 24)
    change = of_pictures(PLAIN.model_copy(update={kind: 0.5}), crop=24)
    assert len({int(augmented(frames, change, seed=seed).sum()) for seed in SEEDS}) > 10


def test_grayscale_takes_the_colour_away() -> None:
    change = of_pictures(PLAIN.model_copy(update={"grayscale": 1.0}), crop=24)
    clip = augmented(noise(2, 3, 36, 48), change, seed=0)
    assert torch.equal(clip, clip[:, :1].expand_as(clip))


def test_a_crop_covers_no_less_than_its_share(ramp: Tensor) -> None:
    for area in (0.4, 0.9):
        change = of_pictures(PLAIN.model_copy(update={"crop_area": area}), crop=24)
        spans = []
        for seed in SEEDS:
            row = augmented(ramp, change, seed=seed)[0, 0, 0].float()
            spans.append(float(row[-1] - row[0]) / 5 + 1)
        # A crop of that share is, at its narrowest, 0.8 times as wide as high.
        assert min(spans) > (area * 36 * 48 * 0.8) ** 0.5 - 3


def moved(pictures: Tensor, flow: Tensor) -> Tensor:
    """Pictures (T, C, H, W) as they look after each pixel has gone its way, whole pixels round the
    edges."""
    height, width = pictures.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    right, down = flow[:, 0].long(), flow[:, 1].long()
    there = torch.zeros_like(pictures)
    for time in range(len(pictures)):
        to = (rows + down[time]) % height, (columns + right[time]) % width
        there[time][:, to[0], to[1]] = pictures[time]
    return there


def test_flow_mirrored_twice_is_as_before() -> None:
    flow = torch.randn(3, 2, 8, 10)
    flip = FlowFlip(1.0)
    assert not torch.equal(flip(flow), flow)
    assert torch.equal(flip(flip(flow)), flow)


def test_mirrored_flow_is_the_flow_of_the_mirrored_pictures() -> None:
    pictures = noise(3, 3, 8, 10)
    flow = torch.tensor([2.0, -3.0])[:, None, None].expand(3, 2, 8, 10)
    after = moved(pictures, flow)
    assert torch.equal(moved(pictures.flip(-1), FlowFlip(1.0)(flow)), after.flip(-1))
    assert not torch.equal(moved(pictures.flip(-1), flow.flip(-1)), after.flip(-1))


def test_cropped_flow_is_as_long_as_the_picture_is_enlarged() -> None:
    """A scene that grows by a tenth does so at any size: the flow's slope stays."""
    columns = 0.1 * torch.arange(48.0).expand(36, 48)
    rows = 0.1 * torch.arange(36.0)[:, None].expand(36, 48)
    growth = torch.stack([columns, rows]).expand(2, 2, 36, 48)
    for seed in SEEDS:
        flow = augmented(growth, FlowCrop(60, scale=(0.2, 0.6)), seed=seed)
        inside = flow[..., 5:-5, 5:-5]
        torch.testing.assert_close(inside[:, 0].diff(dim=-1), torch.full((2, 50, 49), 0.1))
        torch.testing.assert_close(inside[:, 1].diff(dim=-2), torch.full((2, 49, 50), 0.1))


def test_equal_seeds_crop_and_mirror_flow_and_pictures_alike() -> None:
    augment = PLAIN.model_copy(update={"crop_area": 0.4, "flip": True})
    spot = torch.zeros(2, 3, 36, 48, dtype=torch.uint8)
    spot[..., 15:18, 20:23] = 255
    places = set()
    for seed in SEEDS:
        picture = augmented(spot, of_pictures(augment, crop=24), seed=seed)[0, 1].float()
        down = augmented(spot[:, :2].float(), of_flow(augment, crop=24), seed=seed)[0, 1]
        assert (picture / picture.max() - down / down.max()).abs().max() < 0.01
        places.add(int(picture.argmax()))
    assert len(places) > 10


def test_flow_keeps_its_direction_when_flips_are_off() -> None:
    to_the_right = torch.tensor([2.0, 0.0])[:, None, None].expand(2, 2, 36, 48)
    still = Augment(flip=False)
    for augment, expected in ((Augment(), {True, False}), (still, {True})):
        change = of_flow(augment, crop=24)
        signs = {bool((augmented(to_the_right, change, seed=s)[:, 0] > 0).all()) for s in SEEDS}
        assert signs == expected
