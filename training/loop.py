"""The supervised loop: AdamW, cosine with warm-up, label smoothing."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from motionfit.inference.clip import ClipSpec
from motionfit.training.dataset import ShuffledKeys, TrainingClips
from motionfit.training.model import R2Plus1D, normalised

EVALUATIONS = 10  # over a run: often enough to see its course, cheap enough to forget


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a student is trained."""

    epochs: int
    """Passes over the videos; each takes one clip of each."""
    batch_size: int
    learning_rate: float
    """At its highest, after the warm-up."""
    weight_decay: float
    """AdamW's; biases and batch norms are spared."""
    label_smoothing: float
    warmup: float
    """Share of the steps in which the learning rate rises."""
    seed: int
    compiled: bool
    """Whether steps run through torch.compile."""


Evaluate = Callable[[R2Plus1D], Mapping[str, float]]


def train(
    model: R2Plus1D,
    clips: TrainingClips,
    *,
    recipe: Recipe,
    evaluate: Evaluate,
    log: Callable[[Mapping[str, Any]], None],
    console: Console,
) -> None:
    """Train ``model`` in place and leave it in eval mode.

    ``log`` gets one mapping per epoch; about ten times in a run, and in the end, the figures that
    ``evaluate`` returns are part of it.
    """
    keys = ShuffledKeys(len(clips), seed=recipe.seed)
    batch_size = min(recipe.batch_size, len(clips))
    # An incomplete batch is dropped: batch norm on one or two clips does harm.
    loader = DataLoader(clips, batch_size=batch_size, sampler=keys, drop_last=True)
    optimizer = AdamW(_parameter_groups(model, recipe.weight_decay), lr=recipe.learning_rate)
    schedule = LambdaLR(
        optimizer, warmup_then_cosine(recipe.epochs * len(loader), warmup=recipe.warmup)
    )
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    model.to(memory_format=torch.channels_last_3d)
    forward = torch.compile(model) if recipe.compiled else model
    every = max(1, recipe.epochs // EVALUATIONS)
    with Progress(console=console) as progress:
        bar = progress.add_task("training", total=recipe.epochs * len(loader))
        for epoch in range(1, recipe.epochs + 1):
            keys.epoch = epoch
            model.train()
            figures = _train_epoch(
                forward,
                loader,
                spec=clips.spec,
                criterion=criterion,
                optimizer=optimizer,
                schedule=schedule,
                advance=lambda: progress.advance(bar),
            )
            if epoch % every == 0 or epoch == recipe.epochs:
                figures |= evaluate(model.eval())
                console.print(_line(epoch, recipe.epochs, figures), highlight=False)
            log({"epoch": epoch, **figures})
            progress.update(bar, description=f"training, loss {figures['loss']:.2f}")
    model.eval()


def warmup_then_cosine(total_steps: int, *, warmup: float) -> Callable[[int], float]:
    """The factor of the learning rate at a step: a linear rise, then a cosine down to 0."""
    rising = max(1, round(total_steps * warmup))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total_steps - rising)))

    return factor


def _train_epoch(
    forward: Callable[[Tensor], tuple[Tensor, Tensor]],
    loader: "DataLoader[Any]",
    *,
    spec: ClipSpec,
    criterion: nn.Module,
    optimizer: Optimizer,
    schedule: LambdaLR,
    advance: Callable[[], None],
) -> dict[str, float]:
    started = time.perf_counter()
    loss_sum, right, seen = 0.0, 0, 0
    learning_rate = float(schedule.get_last_lr()[0])
    for frames, labels in loader:
        logits, _ = forward(normalised(frames, spec=spec))
        loss = criterion(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        loss_sum += float(loss.detach()) * len(labels)
        right += int((logits.argmax(1) == labels).sum())
        seen += len(labels)
        advance()
    return {
        "loss": loss_sum / seen,
        "training_accuracy": right / seen,
        "learning_rate": learning_rate,
        "clips_per_second": seen / (time.perf_counter() - started),
    }


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _line(epoch: int, epochs: int, figures: Mapping[str, float]) -> str:
    held_out = figures.get("held_out_accuracy")
    return (
        f"epoch {epoch} of {epochs}: loss {figures['loss']:.3f}, "
        f"training clips right {figures['training_accuracy']:.1%}"
        + ("" if held_out is None else f", held-out videos right {held_out:.1%}")
        + f", {figures['clips_per_second']:.1f} clips/s"
    )
