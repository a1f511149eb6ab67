"""Clips of several requests, given to the model together by the one thread that owns it."""

import asyncio
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.runner import Output, Runner

NICE = 5
"""How far the model stands back behind the thread that talks to clients."""


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

    def __init__(self, *, max_clips: int, wait_seconds: float) -> None:
        self._max_clips, self._wait_seconds = max_clips, wait_seconds
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

    def next_batch(self) -> Batch | None:
        """Wait for clips and take a batch of them; None when closed and empty."""
        with self._changed:
            while not self._requests or self._worth_waiting() > 0:
                if self._closed:
                    return None
                self._changed.wait(self._worth_waiting() if self._requests else None)
            return self._take()

    def _worth_waiting(self) -> float:
        if self._closed or sum(request.left for request in self._requests) >= self._max_clips:
            return 0.0
        oldest = min(request.arrived for request in self._requests)
        return oldest + self._wait_seconds - time.monotonic()

    def _take(self) -> Batch:
        counts: Counter[Waiting] = Counter()
        while self._requests and counts.total() < self._max_clips:
            request = self._requests.popleft()
            counts[request] += 1
            if counts[request] < request.left:
                self._requests.append(request)
        return [request.take(count) for request, count in counts.items()]


class ModelThread:
    """A runner that is opened, used and closed on a thread of its own.

    Closing must be done by the thread that opened: OpenVINO gives that thread a stack for signal
    handlers, and takes it back on closing. Done elsewhere, the next signal kills the process.
    """

    def __init__(
        self,
        open_model: Callable[[], Runner],
        *,
        max_batch_clips: int,
        batch_wait_seconds: float,
        on_batch: Callable[[Batch], None],
    ) -> None:
        """Open the model. Raises what ``open_model`` raises."""
        self._queue = ClipQueue(max_clips=max_batch_clips, wait_seconds=batch_wait_seconds)
        self._on_batch = on_batch
        opened: Future[str] = Future()
        # A daemon: whoever ends without closing is not kept from it.
        self._thread = threading.Thread(
            target=self._own, args=(open_model, opened), name="model", daemon=True
        )
        self._thread.start()
        self.name = opened.result()
        """Runtime and device."""

    async def run(self, frames: NDArray[np.uint8]) -> tuple[Output, float]:
        """The output for clips (N, T, H, W, 3) uint8, and the milliseconds that the model took.

        They wait for the model together with the clips of others. When this is cancelled, those
        that still wait are not run.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Output] = loop.create_future()

        def finish(request: Waiting, error: BaseException | None) -> None:
            loop.call_soon_threadsafe(_settle, answer, request, error)

        request = Waiting(frames, finish)
        self._queue.put(request)
        try:
            return await answer, request.infer_ms
        finally:
            self._queue.remove(request)

    def close(self) -> None:
        """Finish the clips that wait, and free the model."""
        self._queue.close()
        self._thread.join()

    def _own(self, open_model: Callable[[], Runner], opened: "Future[str]") -> None:
        # For this thread, and those that the runtime starts from it: Linux counts by thread.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            runner = open_model()
        except BaseException as error:
            opened.set_exception(error)
            return
        opened.set_result(runner.name)
        while (batch := self._queue.next_batch()) is not None:
            self._run(runner, batch)
        runner.close()

    def _run(self, runner: Runner, batch: Batch) -> None:
        frames = [part.frames for part in batch]
        started = time.perf_counter()
        try:
            output = runner.run(frames[0] if len(frames) == 1 else np.concatenate(frames))
        except Exception as error:
            for part in batch:
                self._queue.remove(part.request)
                part.request.finish(part.request, error)
            return
        _hand_out(output, batch, infer_ms=(time.perf_counter() - started) * 1000)
        self._on_batch(batch)


def _hand_out(output: Output, batch: Batch, *, infer_ms: float) -> None:
    """Give each request the rows of its clips."""
    start = 0
    for part in batch:
        end = start + len(part.frames)
        # Copies: a view would keep the rows of the others.
        part.request.outputs.append(
            Output(output.logits[start:end].copy(), output.embedding[start:end].copy())
        )
        part.request.infer_ms += infer_ms
        start = end
        if not part.request.left:
            part.request.finish(part.request, None)


def _settle(
    answer: "asyncio.Future[Output]", request: Waiting, error: BaseException | None
) -> None:
    if answer.done():  # nobody waits for it any more
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(request.output())
