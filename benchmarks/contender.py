"""A training loop that takes turns with others: how long its steps take, how long it waits."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch._dynamo.exc import BackendCompilerFailed
from torch.optim import Optimizer

from motionfit.benchmarks.paused import release, running
from motionfit.benchmarks.timing import NANOSECONDS_PER_MS
from motionfit.inference.errors import BackendError
from motionfit.training.model import R2Plus1D

Batch = tuple[Tensor, Tensor]


@dataclass(kw_only=True)
class Contender:
    """One way to train, with a network, an optimizer and processes of its own."""

    name: str
    precision: Literal["fp32", "bf16"]
    """Of the network's arithmetic."""
    model: R2Plus1D
    optimizer: Optimizer
    batches: Iterator[Batch]
    """Clips as the loop's own loader makes them, and class indices (N,) int64; never ends."""
    step: Callable[[Tensor, Tensor], float]
    """One step on a batch of ``batches``; gives its loss."""
    prepared: Callable[[Tensor], Tensor]
    """What the loader makes of the frames (N, T, S, S, 3) uint8 when nothing is random."""
    waited_ms: list[float] = field(default_factory=list)
    """Of each turn: how long its steps waited for data."""
    processes: set[int] = field(default_factory=set)

    def turn(self, steps: int) -> None:
        """Train for ``steps`` batches; before and after, the loop's processes stand still."""
        waited_ns = 0
        with running(self.processes):
            for _ in range(steps):
                asked = time.perf_counter_ns()
                clips, labels = next(self.batches)
                waited_ns += time.perf_counter_ns() - asked
                self.step(clips, labels)
        self.waited_ms.append(waited_ns / NANOSECONDS_PER_MS)

    def first_step(self, frames: Tensor, labels: Tensor) -> tuple[float, NDArray[np.float32]]:
        """Train on one batch of frames (N, T, S, S, 3) uint8: the loss, the gradient as one vector.

        Raises BackendError when the network cannot be compiled on this machine.
        """
        gradients: list[NDArray[np.float32]] = []

        def keep(*_: object) -> None:
            for parameter in self.model.parameters():
                assert parameter.grad is not None
                gradients.append(parameter.grad.float().cpu().numpy().ravel().copy())

        handle = self.optimizer.register_step_pre_hook(keep)
        try:
            loss = self.step(self.prepared(frames), labels)
        except BackendCompilerFailed as error:
            raise BackendError(
                f"torch.compile fails here ({str(error).splitlines()[0]}); it needs a C++ compiler"
            ) from error
        finally:
            handle.remove()
        return loss, np.concatenate(gradients)

    def close(self) -> None:
        """End the loop's processes."""
        release(self.processes)
        del self.batches
