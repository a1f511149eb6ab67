"""Clips of several requests, given to the model together by the one thread that owns it."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.runner import Output, Runner
from motionfit.serving.work.clip_queue import Batch, ClipQueue, Waiting

NICE = 5
"""How far the model stands back behind the thread that talks to clients."""


class ModelThread:
    """A runner that is opened, used and closed on a thread of its own.

    Closing must be done by the thread that opened: OpenVINO gives that thread a stack for signal
    handlers, and takes it back on closing. Done elsewhere, the next signal kills the process.
    """

    def __init__(
        self,
        open_model: Callable[[], Runner],
        *,
        max_batch_clips: int | None,
        batch_wait_seconds: float,
        on_batch: Callable[[Batch], None],
    ) -> None:
        """Open the model. Raises what ``open_model`` raises.

        ``max_batch_clips``: None leaves it to what the model runs on.
        """
        self._queue = ClipQueue(wait_seconds=batch_wait_seconds)
        self._on_batch = on_batch
        opened: Future[tuple[str, int]] = Future()
        # A daemon: whoever ends without closing is not kept from it.
        self._thread = threading.Thread(
            target=self._own, args=(open_model, max_batch_clips, opened), name="model", daemon=True
        )
        self._thread.start()
        try:
            self.name, self.max_clips = opened.result()
            """Runtime and device, and the most clips of a batch."""
        except BaseException:
            self.close()
            raise

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

    def _own(
        self,
        open_model: Callable[[], Runner],
        max_batch_clips: int | None,
        opened: "Future[tuple[str, int]]",
    ) -> None:
        os.nice(NICE)  # this thread, and those that the runtime starts from it: Linux counts so
        try:
            runner = open_model()
        except BaseException as error:
            opened.set_exception(error)
            return
        max_clips = max_batch_clips or _most_clips(runner.name)
        opened.set_result((runner.name, max_clips))
        while (batch := self._queue.next_batch(max_clips=max_clips)) is not None:
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


def _most_clips(name: str) -> int:
    """What a batch of the runtime and device gains from: a CPU is as quick with few at a time."""
    return 8 if name.endswith("/cpu") else 32


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
