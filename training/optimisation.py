"""The optimizer, the course of its learning rate, and the average of the weights."""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

from motionfit.training.config import Train

SGD_MOMENTUM = 0.9


def make_optimizer(groups: list[dict[str, Any]], config: Train) -> Optimizer:
    """The optimizer that ``config`` names, on these parameter groups."""
    if config.optimizer == "sgd":
        return SGD(groups, momentum=SGD_MOMENTUM, nesterov=True, fused=True)
    return AdamW(groups, fused=True)


def warmup_then_cosine(total_steps: int, *, warmup: float) -> Callable[[int], float]:
    """The factor of the learning rate at a step: a linear rise, then a cosine down to 0."""
    rising = max(1, round(total_steps * warmup))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total_steps - rising)))

    return factor


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """An exponential moving average that follows closely at first, as timm's and TensorFlow's do.

    Otherwise the random weights of the start would weigh on it for a good part of a short run.
    """

    def average(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        if not averaged.is_floating_point():
            return current
        n = int(updates)
        return averaged.lerp(current, 1 - min(decay, (1 + n) / (10 + n)))

    return average
