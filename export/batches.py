"""Clips through a network, a few at a time."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from motionfit.inference.clip import ClipSpec
from motionfit.inference.tensors import Output
from motionfit.training.model import normalised

BATCH = 8

Frames = NDArray[np.uint8]  # (N, T, S, S, 3)
Run = Callable[[Frames], Output]


def in_batches(run: Run, frames: Frames, *, size: int = BATCH) -> Output:
    """The outputs for all clips, ``size`` at a time."""
    return joined([run(frames[start : start + size]) for start in range(0, len(frames), size)])


def torch_run(model: nn.Module, *, spec: ClipSpec) -> Run:
    """The network in PyTorch, as it is, on clips that it normalises."""

    def run(frames: Frames) -> Output:
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(frames))
            logits, embedding = model(normalised(tensor, spec=spec))
        return Output(logits.numpy(), embedding.numpy())

    return run


def joined(parts: Sequence[Output]) -> Output:
    """The outputs for clips, one part after the other."""
    logits, embedding = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Output(logits, embedding)
