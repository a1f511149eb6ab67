"""Held-out videos, read as the product reads them, and what a student says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.inference.video import read_clips
from motionfit.training.flow_video import FlowVideo
from motionfit.training.manifest import Row
from motionfit.training.model import R2Plus1D, network_input
from motionfit.training.videos import Unreadable, read_all
from motionfit.training.views import central

BATCH = 32


@dataclass(frozen=True, kw_only=True)
class TestVideos:
    """The clips of V videos, K of each, and their classes."""

    __test__ = False

    frames: NDArray[np.uint8]
    """(V, K, T, S, S, 3) uint8"""
    labels: NDArray[np.int64]
    """(V,) int64, indices of classes"""
    unreadable: tuple[Unreadable, ...]


def read_test_videos(
    rows: Sequence[Row], *, spec: ClipSpec, labels: Sequence[str], console: Console
) -> TestVideos:
    """The spec's number of clips of each readable video, by the path that serving takes.

    Takes ``num_clips * num_frames * crop * crop * 3`` bytes of memory a video.
    """
    read, unreadable = read_all(
        rows,
        partial(read_clips, spec=spec),
        what="reading test clips",
        console=console,
    )
    return TestVideos(
        frames=np.stack([clips.frames for _, clips in read]),
        labels=np.array([labels.index(row.label) for row, _ in read], np.int64),
        unreadable=unreadable,
    )


def logits_of(model: R2Plus1D, frames: NDArray[np.uint8], *, spec: ClipSpec) -> NDArray[np.float32]:
    """Logits (V, K, classes) float32 of clips (V, K, T, S, S, 3), by a model in eval mode."""
    flat = frames.reshape(-1, *frames.shape[2:])
    return clip_logits(model, flat, spec=spec).reshape(*frames.shape[:2], -1)


def clip_logits(
    model: R2Plus1D, clips: NDArray[np.uint8] | NDArray[np.float32], *, spec: ClipSpec
) -> NDArray[np.float32]:
    """The logits alone of ``answers``."""
    return answers(model, clips, spec=spec)[0]


def answers(
    model: R2Plus1D, clips: NDArray[np.uint8] | NDArray[np.float32], *, spec: ClipSpec
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (N, C) and embeddings (N, D), float32, of a model in eval mode, computed where it is.

    ``clips`` is RGB (N, T, S, S, 3) uint8, or flow (N, T, S, S, 2) float32 in units of its bound.
    """
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [
            model(network_input(torch.from_numpy(clips[i : i + BATCH]).to(device), spec=spec))
            for i in range(0, len(clips), BATCH)
        ]
        logits, embeddings = (torch.cat(part).float().cpu() for part in zip(*parts, strict=True))
    return logits.numpy(), embeddings.numpy()


def flow_logits(model: R2Plus1D, video: FlowVideo, *, spec: ClipSpec) -> NDArray[np.float32]:
    """Logits (G, classes) float32 of the central crops of a video's grid clips."""
    clips = np.stack([video.clip(index) for index in range(video.shape[0])])
    return clip_logits(model, central(clips, crop=spec.crop), spec=spec)


def accuracy(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Share of the videos whose best class is the right one."""
    return float((scores.argmax(1) == labels).mean())
