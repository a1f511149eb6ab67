"""torchvision's reference recipe for video classification, as a contender of a speed test.

Follows references/video_classification/train.py and presets.py of pytorch/vision, by default:
torchvision.datasets.Kinetics, whose VideoClips decode each clip anew (through TorchCodec, which
torchvision reads videos with since its own reader was removed); RandomClipSampler, five clips of a
video an epoch; resize without antialias, horizontal flip, normalise and random crop in float32; SGD
with momentum 0.9 and weight decay 1e-4; no mixed precision, no compilation, tensors laid out as
they come; loss, top-1 and top-5 of every batch taken to the host.

Not as there: the network, clip length, frame rate and picture size are those of the run (there 16
frames at 15 a second, 128 x 171 cropped to 112 x 112); the learning rate is constant, for its
schedule takes no time; an incomplete last batch is dropped, so that all steps are alike; worker
processes are spawned rather than forked, and kept from epoch to epoch; and the evaluation and the
checkpoint at the end of an epoch are left out.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils.data import DataLoader, default_collate
from torchvision.datasets import Kinetics  # type: ignore[import-untyped]
from torchvision.datasets.samplers import RandomClipSampler  # type: ignore[import-untyped]
from torchvision.transforms import transforms  # type: ignore[import-untyped]

from motionfit.benchmarks.contender import Batch, Contender
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError, MissingExtra
from motionfit.training.manifest import Row
from motionfit.training.model import R2Plus1D
from motionfit.training.workers import WorkerContext

CLIPS_PER_VIDEO = 5
LEARNING_RATE = 0.01
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
ASPECT = 171 / 128
"""Width over height that the recipe stretches every picture to."""
TOP = 5


def reference_contender(
    model: R2Plus1D,
    dataset: Kinetics,
    *,
    spec: ClipSpec,
    batch_size: int,
    workers: int,
    device: torch.device,
) -> Contender:
    """The recipe at work on ``model``, which is moved to ``device``."""
    model = model.to(device).train()
    optimizer = SGD(
        model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    criterion = nn.CrossEntropyLoss()

    def step(clips: Tensor, labels: Tensor) -> float:
        clips, labels = clips.to(device), labels.to(device)
        logits = model(clips)[0]
        loss = criterion(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _top_shares(logits, labels)
        return float(loss.item())

    return Contender(
        name="torchvision",
        precision="fp32",
        model=model,
        optimizer=optimizer,
        batches=_batches(dataset, batch_size=batch_size, workers=workers, device=device),
        step=step,
        prepared=lambda frames: torch.stack(
            [transforms.Compose(_to_model(spec))(clip.permute(0, 3, 1, 2)) for clip in frames]
        ),
    )


def reference_dataset(rows: Sequence[Row], *, spec: ClipSpec, folder: Path) -> Kinetics:
    """torchvision's Kinetics over these videos, through links below ``folder``, which is empty.

    Raises DatasetError when it cannot read one, or none is long enough.
    """
    labels = sorted({row.label for row in rows})
    for number, row in enumerate(rows):
        link = folder / "train" / f"{labels.index(row.label):04d}" / f"{number:06d}.mp4"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(row.path.resolve())
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            # Of videos too short for a clip, which are passed over: ``too_short`` counts them.
            warnings.simplefilter("ignore")
            dataset = Kinetics(
                folder,
                frames_per_clip=spec.num_frames,
                frame_rate=spec.frame_rate,
                transform=_augmentation(spec),
                num_workers=0,
            )
    except (RuntimeError, ValueError) as error:
        raise DatasetError(f"torchvision cannot read one of the videos: {error}") from error
    if not len(dataset.video_clips):
        raise DatasetError(
            f"every video is too short for torchvision, which needs {spec.num_frames} frames at "
            f"{spec.frame_rate:g} a second"
        )
    return dataset


def too_short(dataset: Kinetics) -> int:
    """How many videos are too short for a clip, and pass unseen."""
    return sum(len(clips) == 0 for clips in dataset.video_clips.clips)


def _batches(
    dataset: Kinetics, *, batch_size: int, workers: int, device: torch.device
) -> Iterator[Batch]:
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=RandomClipSampler(dataset.video_clips, CLIPS_PER_VIDEO),
        num_workers=workers,
        pin_memory=device.type == "cuda",
        collate_fn=_without_audio,
        drop_last=True,
        multiprocessing_context=WorkerContext() if workers else None,
        persistent_workers=workers > 0,
    )
    while True:
        yield from loader


def _without_audio(samples: Sequence[tuple[Tensor, Tensor, int]]) -> Any:
    return default_collate([(video, label) for video, _, label in samples])


def _augmentation(spec: ClipSpec) -> Any:
    to_float, normalise, swap = _to_model(spec)
    resize = transforms.Resize((spec.short_side, round(spec.short_side * ASPECT)), antialias=False)
    crop = transforms.RandomCrop((spec.crop, spec.crop))
    return transforms.Compose(
        [to_float, resize, transforms.RandomHorizontalFlip(), normalise, crop, swap]
    )


def _to_model(spec: ClipSpec) -> tuple[Any, Any, Any]:
    """What happens to every clip (T, 3, H, W) uint8, at random or not."""
    return (
        transforms.ConvertImageDtype(torch.float32),
        transforms.Normalize(mean=spec.mean, std=spec.std),
        SwapTimeAndChannels(),
    )


class SwapTimeAndChannels(nn.Module):
    """(T, 3, H, W) to (3, T, H, W)."""

    def forward(self, clip: Tensor) -> Tensor:
        return clip.permute(1, 0, 2, 3)


def _top_shares(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Top-1 and top-5 of a batch, as the recipe takes them after each step."""
    with torch.inference_mode():
        best = logits.topk(min(TOP, logits.shape[1])).indices
        right = best.eq(labels[:, None])
        return right[:, 0].float().mean().item(), right.any(1).float().mean().item()


def require_torchcodec() -> None:
    """Raise MissingExtra when torchvision has nothing to read videos with."""
    try:
        import_module("torchcodec")
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingExtra(
            "torchvision reads videos with TorchCodec, as do reports; it cannot be used here "
            f"({str(error).strip().splitlines()[0]}): run  pip install torchcodec  and install "
            "FFmpeg's shared libraries"
        ) from error
