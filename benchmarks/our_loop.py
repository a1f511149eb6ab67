"""motionfit's own training loop, as a contender of a speed test.

The optimisation is brought as close to torchvision's recipe as the loop allows: SGD at the same
learning rate, momentum and weight decay (with Nesterov's step, and biases and norms without decay),
plain cross-entropy. Precision and compilation are what the contenders differ in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import Tensor

from motionfit.benchmarks.contender import Batch, Contender
from motionfit.benchmarks.reference_recipe import LEARNING_RATE, WEIGHT_DECAY
from motionfit.training.config import Train
from motionfit.training.dataset import TrainingClips, clips_loader
from motionfit.training.loop import Task, set_up, step
from motionfit.training.model import R2Plus1D
from motionfit.training.objectives import CrossEntropy


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to run the loop."""

    name: str
    precision: Literal["fp32", "bf16"]
    compiled: bool


VARIANTS = (
    Variant(name="fp32", precision="fp32", compiled=False),
    Variant(name="fp32-compiled", precision="fp32", compiled=True),
    Variant(name="bf16-compiled", precision="bf16", compiled=True),
)


def our_contender(
    model: R2Plus1D,
    clips: TrainingClips,
    variant: Variant,
    *,
    batch_size: int,
    steps: int,
    workers: int,
) -> Contender:
    """The loop at work on ``model`` for at most ``steps`` steps."""
    config = Train(
        epochs=-(-steps // max(1, len(clips) // batch_size)),
        batch_size=batch_size,
        optimizer="sgd",
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        label_smoothing=0.0,
        precision=variant.precision,
    )
    task = Task(
        model=model,
        clips=clips,
        objective=CrossEntropy(spec=clips.spec, label_smoothing=config.label_smoothing),
        evaluate=None,
        fingerprint="",
    )
    loop = set_up(task, config=config, accelerator=Accelerator(mixed_precision="no"), state=None)
    loop.wrapped.train()
    forward = torch.compile(loop.wrapped) if variant.compiled else loop.wrapped

    def one_step(frames: Tensor, labels: Tensor) -> float:
        before = loop.course.loss_sum
        step(loop, forward, (frames, labels))
        return (loop.course.loss_sum - before) / len(labels)

    return Contender(
        name=variant.name,
        precision=variant.precision,
        model=model,
        optimizer=loop.optimizer,
        batches=_lazily(clips_loader(clips, loop.keys, workers=workers)),
        step=one_step,
        prepared=lambda frames: frames,
    )


def _lazily(loader: Iterable[Any]) -> Iterator[Batch]:
    """The batches of a loader whose processes start when the first is asked for."""
    yield from loader
