"""Random changes of a clip in space and colour by torchvision, the same for all its frames.

Crop and flip of optical flow draw the same numbers as those of pictures: equal seeds give equal
geometry. Vectors of flow become longer or shorter with a crop and are mirrored by a flip.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2  # type: ignore[import-untyped]

from motionfit.training.config import Augment

ASPECT_RATIOS = (0.8, 1.25)  # of the rectangle that becomes the square

Augmentation = Callable[[Tensor], Tensor]


def picture_augmentation(augment: Augment, *, crop: int) -> Augmentation:
    """Changes (T, 3, H, W) uint8 to (T, 3, crop, crop) uint8."""
    steps = [
        v2.RandomResizedCrop(crop, scale=(augment.crop_area, 1.0), ratio=ASPECT_RATIOS),
        v2.RandomHorizontalFlip(0.5 if augment.flip else 0.0),
        v2.ToDtype(torch.float32, scale=True),  # so that only the result is rounded
        v2.ColorJitter(
            brightness=augment.brightness,
            contrast=augment.contrast,
            saturation=augment.saturation,
        ),
        v2.RandomGrayscale(augment.grayscale),
        v2.ToDtype(torch.uint8, scale=True),
    ]
    composed: Augmentation = v2.Compose(steps)
    return composed


def flow_augmentation(augment: Augment, *, crop: int) -> Augmentation:
    """Changes (T, 2, H, W) float, displacements to the right and down in any unit, to
    (T, 2, crop, crop)."""
    steps = [
        FlowCrop(crop, scale=(augment.crop_area, 1.0), ratio=ASPECT_RATIOS),
        FlowFlip(0.5 if augment.flip else 0.0),
    ]
    composed: Augmentation = v2.Compose(steps)
    return composed


class FlowCrop(v2.RandomResizedCrop):  # type: ignore[misc]
    """A random crop that makes the vectors longer or shorter with the picture."""

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        height, width = self.size
        zoom = inpt.new_tensor([width / params["width"], height / params["height"]])
        resized: Tensor = super().transform(inpt, params)
        return resized * zoom[:, None, None]


class FlowFlip(v2.RandomHorizontalFlip):  # type: ignore[misc]
    """A random flip after which what went right goes left."""

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        mirrored: Tensor = super().transform(inpt, params)
        return mirrored * inpt.new_tensor([-1.0, 1.0])[:, None, None]


def augmented(frames: Tensor, augmentation: Augmentation, *, seed: int) -> Tensor:
    """``frames`` changed by numbers that ``seed`` alone decides; torch's random state is kept."""
    # Transforms draw from the global generator alone. torch.random.fork_rng and torch.manual_seed
    # do the same and look for accelerators besides, which takes a sixth of the time of a clip.
    generator = torch.default_generator
    before = generator.get_state()
    generator.manual_seed(seed)
    try:
        return augmentation(frames)  # in one call, which draws once for all frames
    finally:
        generator.set_state(before)
