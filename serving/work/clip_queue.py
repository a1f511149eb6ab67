"""Clips of several requests that wait for the model, and the batches that it takes of them."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.runner import Output


@dataclass(eq=False, repr=False)
class Waiting:
    """A request's clips, some of which may have been taken already."""

    frames: NDArray[np.uint8]
    """(N, T, H, W, 3) uint8"""
    finish: Callable[["Waiting", BaseException | None], None]
    """Called on the model's thread when all clips were run, or one batch failed."""
    arrived: float = field(default_factory=time.monotonic)
    taken: int = 0
    outputs: list[Output] = field(default_factory=list)
    """Of the clips that were run, in their order."""
    infer_ms: float = 0.0
    """How long the batches took that its clips were in."""

    @property
    def left(self) -> int:
        """Clips that no batch has taken."""
        return len(self.frames) - self.taken

    def take(self, count: int) -> "Part":
        """The next ``count`` clips."""
        part = Part(self, self.frames[self.taken : self.taken + count])
        self.taken += count
        return part

    def output(self) -> Output:
        """What the model said of all clips."""
        logits, embeddings = zip(*self.outputs, strict=True)
        return Output(np.concatenate(logits), np.concatenate(embeddings))


@dataclass(frozen=True)
class Part:
    """The clips of one request in a batch."""

    request: Waiting
    frames: NDArray[np.uint8]


Batch = list[Part]


class ClipQueue:
    """Requests that wait for the model. Safe to use from any thread.

    A batch takes one clip of each request in turn, so a request of many clips delays one of few
    by no more than a batch.
    """

    def __init__(self, *, wait_seconds: float) -> None:
        """``wait_seconds``: the longest wait of a clip for others, while a batch is not full."""
        self._wait_seconds = wait_seconds
        self._changed = threading.Condition()
        self._requests: deque[Waiting] = deque()
        self._closed = False

    def put(self, request: Waiting) -> None:
        """Let ``request`` wait. Raises RuntimeError after ``close``."""
        with self._changed:
            if self._closed:
                raise RuntimeError("the model was closed")
            self._requests.append(request)
            self._changed.notify()

    def remove(self, request: Waiting) -> None:
        """Let it wait no longer. What a batch has taken already is not taken back."""
        with self._changed:
            if request in self._requests:
                self._requests.remove(request)

    def close(self) -> None:
        """Nothing comes any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def next_batch(self, *, max_clips: int) -> Batch | None:
        """Wait for clips and take a batch of them; None when closed and empty."""
        with self._changed:
            while not self._requests or self._worth_waiting(max_clips) > 0:
                if self._closed:
                    return None
                self._changed.wait(self._worth_waiting(max_clips) if self._requests else None)
            return self._take(max_clips)

    def _worth_waiting(self, max_clips: int) -> float:
        if self._closed or sum(request.left for request in self._requests) >= max_clips:
            return 0.0
        oldest = min(request.arrived for request in self._requests)
        return oldest + self._wait_seconds - time.monotonic()

    def _take(self, max_clips: int) -> Batch:
        counts: Counter[Waiting] = Counter()
        while self._requests and counts.total() < max_clips:
            request = self._requests.popleft()
            counts[request] += 1
            if counts[request] < request.left:
                self._requests.append(request)
        return [request.take(count) for request, count in counts.items()]
