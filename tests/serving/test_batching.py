"""Clips of many requests in one batch: fair, together, and each answer to who asked."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from motionfit.inference.runner import Output
from motionfit.serving.work.batching import NICE, ModelThread
from motionfit.serving.work.clip_queue import ClipQueue, Waiting
from tests.conftest import PATIENCE_SECONDS


def clips(*values: int) -> NDArray[np.uint8]:
    """A tiny clip for each value, full of it: (N, 1, 1, 1, 3) uint8."""
    return np.repeat(np.array(values, np.uint8), 3).reshape(-1, 1, 1, 1, 3)


@dataclass
class ToyRunner:
    """Says of a clip what it is full of. Each batch waits until ``go`` is set."""

    name: str = "toy"
    go: threading.Event = field(default_factory=threading.Event)
    batches: list[list[int]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    broken: int | None = None
    """A batch with such a clip fails."""

    def run(self, frames: NDArray[np.uint8]) -> Output:
        self.threads.add(threading.get_ident())
        values = frames[:, 0, 0, 0, 0]
        self.batches.append(values.tolist())
        assert self.go.wait(PATIENCE_SECONDS)
        if self.broken in values:
            raise RuntimeError("broken")
        logits = values.astype(np.float32).reshape(-1, 1)
        return Output(logits=logits, embedding=logits * 2)

    def close(self) -> None:
        self.threads.add(threading.get_ident())


@contextmanager
def model_of(
    runner: ToyRunner, *, max_clips: int | None = 4, wait_seconds: float = 0.0
) -> Iterator[ModelThread]:
    model = ModelThread(
        lambda: runner,
        max_batch_clips=max_clips,
        batch_wait_seconds=wait_seconds,
        on_batch=lambda _: None,
    )
    try:
        yield model
    finally:
        runner.go.set()
        model.close()


async def until_first_batch(runner: ToyRunner) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not runner.batches:
            await asyncio.sleep(0.001)


def said(answer: tuple[Output, float]) -> list[int]:
    output, _ = answer
    assert (output.embedding == output.logits * 2).all()
    return [int(value) for value in output.logits[:, 0]]


def test_each_request_gets_what_was_said_of_its_own_clips() -> None:
    asked = [[*range(10 * i, 10 * i + 1 + i % 5)] for i in range(20)]

    async def answers(model: ModelThread) -> list[list[int]]:
        runner.go.set()
        return [said(a) for a in await asyncio.gather(*(model.run(clips(*v)) for v in asked))]

    runner = ToyRunner()
    with model_of(runner, max_clips=7) as model:
        assert asyncio.run(answers(model)) == asked
    assert len(runner.batches) < len(asked)
    assert max(map(len, runner.batches)) <= 7


def test_what_waits_while_the_model_works_is_the_next_batch() -> None:
    async def ask(model: ModelThread) -> None:
        first = asyncio.create_task(model.run(clips(1)))
        await until_first_batch(runner)
        others = [asyncio.create_task(model.run(clips(i))) for i in (2, 3, 4)]
        await asyncio.sleep(0)
        runner.go.set()
        await asyncio.gather(first, *others)

    runner = ToyRunner()
    with model_of(runner) as model:
        asyncio.run(ask(model))
    assert runner.batches == [[1], [2, 3, 4]]


def test_few_clips_wait_for_no_more_than_a_batch_of_many() -> None:
    finished: list[str] = []

    async def ask(model: ModelThread) -> None:
        async def one(name: str, *values: int) -> None:
            await model.run(clips(*values))
            finished.append(name)

        tasks = [asyncio.create_task(one("long", *range(100, 140)))]
        await until_first_batch(runner)
        tasks += [asyncio.create_task(one(f"short {i}", i, i)) for i in (1, 2)]
        await asyncio.sleep(0)
        runner.go.set()
        await asyncio.gather(*tasks)

    runner = ToyRunner()
    with model_of(runner) as model:
        asyncio.run(ask(model))
    assert sorted(finished[:2]) == ["short 1", "short 2"]
    assert {1, 2} <= set(runner.batches[1])
    assert finished[2] == "long"


def test_clips_of_who_does_not_wait_any_more_are_not_run() -> None:
    async def ask(model: ModelThread) -> None:
        first = asyncio.create_task(model.run(clips(1)))
        await until_first_batch(runner)
        gone = asyncio.create_task(model.run(clips(66, 66, 66)))
        stays = asyncio.create_task(model.run(clips(2)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        first.cancel()  # its batch is being run; nobody looks at what becomes of it
        runner.go.set()
        assert said(await stays) == [2]

    runner = ToyRunner()
    with model_of(runner) as model:
        asyncio.run(ask(model))
    assert runner.batches == [[1], [2]]


def test_failing_batch_fails_its_requests_and_no_later_one() -> None:
    async def ask(model: ModelThread) -> None:
        runner.go.set()
        with pytest.raises(RuntimeError, match="broken"):
            await model.run(clips(1, 2, 3, 4, 5, 6, 13))
        assert said(await model.run(clips(7))) == [7]

    runner = ToyRunner(broken=5)
    with model_of(runner) as model:
        asyncio.run(ask(model))
    assert runner.batches == [[1, 2, 3, 4], [5, 6, 13], [7]]


def test_model_is_opened_used_and_closed_on_one_thread_which_runs_what_waits_first() -> None:
    async def ask(model: ModelThread) -> list[int]:
        waiting = [asyncio.create_task(model.run(clips(i))) for i in range(6)]
        await until_first_batch(runner)
        runner.go.set()
        await asyncio.to_thread(model.close)
        return [value for task in waiting for value in said(await task)]

    runner = ToyRunner()
    model = ModelThread(
        lambda: runner, max_batch_clips=1, batch_wait_seconds=0, on_batch=lambda _: None
    )
    assert asyncio.run(ask(model)) == [*range(6)]
    assert len(runner.threads) == 1
    assert runner.threads != {threading.get_ident()}


@pytest.mark.parametrize(
    ("name", "asked", "most"),
    [("openvino/cpu", None, 8), ("onnxruntime/cuda", None, 32), ("openvino/cpu", 3, 3)],
)
def test_largest_batch_is_what_the_device_gains_from(
    name: str, asked: int | None, most: int
) -> None:
    runner = ToyRunner(name=name)
    with model_of(runner, max_clips=asked) as model:
        runner.go.set()
        asyncio.run(model.run(clips(*range(100))))
        assert model.max_clips == max(map(len, runner.batches)) == most


def test_error_on_opening_is_raised() -> None:
    def fail() -> ToyRunner:
        raise OSError("no such model")

    with pytest.raises(OSError, match="no such model"):
        ModelThread(fail, max_batch_clips=1, batch_wait_seconds=0, on_batch=lambda _: None)


def waiting(count: int) -> Waiting:
    return Waiting(clips(*range(count)), lambda *_: None)


def test_batch_waits_for_others_until_it_is_full_or_has_waited_long_enough() -> None:
    queue = ClipQueue(wait_seconds=3600)
    queue.put(waiting(1))
    threading.Timer(0.05, lambda: queue.put(waiting(2))).start()
    batch = queue.next_batch(max_clips=3)
    assert batch is not None
    assert [len(part.frames) for part in batch] == [1, 2]

    patient = ClipQueue(wait_seconds=0.05)
    patient.put(waiting(1))
    assert len(patient.next_batch(max_clips=3) or []) == 1


def test_closed_queue_gives_what_waits_and_then_none() -> None:
    queue = ClipQueue(wait_seconds=3600)
    queue.put(waiting(2))
    queue.close()
    assert len(queue.next_batch(max_clips=3) or []) == 1
    assert queue.next_batch(max_clips=3) is None
    with pytest.raises(RuntimeError, match="closed"):
        queue.put(waiting(1))


def test_model_stands_back_behind_the_thread_that_talks_to_clients() -> None:
    async def priority(model: ModelThread) -> int:
        runner.go.set()
        await model.run(clips(1))
        (thread,) = (t for t in threading.enumerate() if t.ident in runner.threads)
        assert thread.native_id is not None
        return os.getpriority(os.PRIO_PROCESS, thread.native_id)

    runner = ToyRunner()
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with model_of(runner) as model:
        assert asyncio.run(priority(model)) == min(19, own + NICE)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
