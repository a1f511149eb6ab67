"""An export is finished only when it agrees with its source, on real clips."""

from collections.abc import Callable
from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray

from motionfit.export.clips import RealClips
from motionfit.export.parity import (
    ROUNDING,
    RUNTIME,
    Distance,
    Parity,
    distance,
    top1_agreement,
)
from motionfit.inference.backends import Backend, Device, installed_backends
from motionfit.inference.bundle import WEIGHTS, Bundle
from motionfit.inference.errors import VerificationError
from motionfit.inference.runner import open_runner
from motionfit.inference.tensors import Output
from motionfit.training.checkpoint import Checkpoint, load_checkpoint
from motionfit.training.model import normalised

BATCH = 8

Frames = NDArray[np.uint8]  # (N, T, S, S, 3)
Run = Callable[[Frames], Output]


def verify(bundle: Bundle, *, source: Checkpoint, clips: RealClips) -> tuple[Parity, ...]:
    """Hold a bundle against the checkpoint it was made from, link by link.

    The bundle's weights, in PyTorch, are held against the checkpoint's; its ONNX file, in each
    runtime that is installed, against the bundle's weights in PyTorch.

    Raises VerificationError, with all that is wrong, when anything is outside its limits.
    """
    original = in_batches(_torch(source), clips.frames)
    stored = in_batches(_torch(load_checkpoint(bundle.file(WEIGHTS))), clips.frames)
    weights = Parity(
        subject=WEIGHTS,
        reference="checkpoint",
        distance=distance(stored, original),
        top1_agreement=top1_agreement(stored, original),
        rows=None,
        limits=ROUNDING,
    )
    runtimes = (
        _runtime(bundle, backend=backend, reference=stored, frames=clips.frames)
        for backend in installed_backends()
    )
    results = (weights, *runtimes)
    if problems := [problem for result in results for problem in result.problems()]:
        raise VerificationError("; ".join(problems))
    return results


def in_batches(run: Run, frames: Frames) -> Output:
    """The outputs for all clips, BATCH at a time."""
    return _joined([run(frames[start : start + BATCH]) for start in range(0, len(frames), BATCH)])


def row_distance(run: Run, frames: Frames) -> Distance:
    """How far clips at every row of a batch are from the same clips alone.

    BATCH clips go round all rows; where ``frames`` has fewer, mirrored ones fill the batch.
    """
    mirrored = frames[:, :, :, ::-1]
    batch = np.resize(np.concatenate([frames, mirrored]), (BATCH, *frames.shape[1:]))
    alone = [run(clip[np.newaxis]) for clip in batch]
    turns = [np.roll(np.arange(BATCH), turn) for turn in range(BATCH)]
    within = [run(batch[turn]) for turn in turns]
    return distance(_joined(within), _joined([alone[row] for turn in turns for row in turn]))


def _runtime(bundle: Bundle, *, backend: Backend, reference: Output, frames: Frames) -> Parity:
    with closing(open_runner(bundle, backend=backend, device=Device.CPU)) as runner:
        found = in_batches(runner.run, frames)
        return Parity(
            subject=runner.name,
            reference=WEIGHTS,
            distance=distance(found, reference),
            top1_agreement=top1_agreement(found, reference),
            rows=row_distance(runner.run, frames),
            limits=RUNTIME,
        )


def _torch(checkpoint: Checkpoint) -> Run:
    def run(frames: Frames) -> Output:
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(frames))
            logits, embedding = checkpoint.model(normalised(tensor, spec=checkpoint.spec))
        return Output(logits.numpy(), embedding.numpy())

    return run


def _joined(parts: list[Output]) -> Output:
    logits, embedding = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Output(logits, embedding)
