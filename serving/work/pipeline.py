"""From an uploaded file to an answer: a place in a queue, a decoder, the model."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.bundle import Bundle
from motionfit.inference.classifier import Answer
from motionfit.inference.clip import ClipSpec
from motionfit.inference.confinement import MEASURES
from motionfit.inference.errors import (
    BackendError,
    DecoderFailed,
    SpanOutside,
    TooManyWindows,
    VideoError,
)
from motionfit.inference.runner import Output
from motionfit.inference.video import Clips
from motionfit.inference.warmup import made_clip
from motionfit.serving.errors import NotReady
from motionfit.serving.metrics import Metrics
from motionfit.serving.settings import Settings
from motionfit.serving.work.ask import Ask
from motionfit.serving.work.checking import check
from motionfit.serving.work.clip_queue import Batch
from motionfit.serving.work.deadline import Deadline
from motionfit.serving.work.engine import Engine
from motionfit.serving.work.lane import Lane
from motionfit.serving.work.look import Look

log = logging.getLogger(__name__)


class Wanted(Protocol):
    """Clips that the model shall look at."""

    @property
    def frames(self) -> NDArray[np.uint8]:
        """(N, T, S, S, 3) uint8, of the bundle's form."""

    @property
    def timeout_seconds(self) -> float | None:
        """What the client allows the model."""


W = TypeVar("W", bound=Wanted)


class Pipeline:
    """What it takes to answer. Ready once it has answered a stored video."""

    def __init__(
        self, settings: Settings, *, engine: Engine, videos: Lane, timelines: Lane, metrics: Metrics
    ) -> None:
        self.metrics = metrics
        self.ready = False
        self.failure: BackendError | None = None
        """Why it will never be ready."""
        self._settings = settings
        self._videos, self._timelines = videos, timelines
        self.engine = engine
        """What answers. A request keeps the one that was here when its body had come."""
        self._reading = ThreadPoolExecutor(1, "tensors")
        self._introduce(engine)
        metrics.watch_queue(lambda: self.depth)

    @classmethod
    def open(cls, settings: Settings, *, metrics: Metrics) -> Self:
        """Open the bundle and load its model, while the decoders start.

        Raises BundleError, BackendError or MissingExtra.
        """
        videos = Lane.of_videos(settings, metrics=metrics)
        videos.decoders.open()
        try:
            engine = Engine.open(settings)
        except BaseException:
            videos.decoders.close()
            raise
        timelines = Lane.of_timelines(settings, metrics=metrics)
        return cls(settings, engine=engine, videos=videos, timelines=timelines, metrics=metrics)

    @property
    def depth(self) -> int:
        """Requests that wait."""
        return self._videos.admission.waiting + self._timelines.admission.waiting

    def require_ready(self) -> None:
        """Raise NotReady before the warm-up video was answered, and after ``close``."""
        if not self.ready:
            message = "the server has not answered its warm-up clip yet; try again in a second"
            raise NotReady(message, retry_after_seconds=1)

    def require_place(self, ask: Ask, *, deadline: Deadline) -> None:
        """Raise NotReady or Overloaded when a request that came now would not be taken on."""
        self.require_ready()
        self._lane(ask).admission.check(deadline)

    async def classify(self, video: BinaryIO, *, ask: Ask, deadline: Deadline) -> Answer:
        """The answer for an open video, which is closed afterwards.

        Raises a VideoError, Overloaded or DeadlineExceeded. Cancelled, it stops the work.
        """
        lane = self._lane(ask)
        with lane.place(video, deadline=deadline), self.engine.use() as engine:
            look = Look(ask, engine, max_windows=self._settings.max_windows)
            try:
                async with asyncio.timeout(deadline.remaining()):
                    await look.at(video, decoders=lane.decoders)
            except TimeoutError:
                if look.begun:
                    raise deadline.exceeded() from None
                seconds = lane.admission.wait_seconds()
                raise deadline.waited(retry_after_seconds=seconds) from None
            except (SpanOutside, TooManyWindows):
                raise  # nothing is wrong with the video
            except VideoError as error:
                self.metrics.decode_failed(codec=error.codec, code=error.code)
                if isinstance(error, DecoderFailed):
                    log.error("a bug in decoding", exc_info=error)
                raise
            # For a few clips it takes a tenth of a millisecond, as long as changing threads.
            return await asyncio.to_thread(look.answer) if ask.timeline else look.answer()

    async def infer(
        self, read: Callable[[Bundle], W], *, deadline: Deadline
    ) -> tuple[W, Output, Engine]:
        """What ``read`` makes of a request for the bundle served, what the model says of its clips,
        and the engine that ran them.

        ``read`` may take long: it is called on a thread, for one request at a time. Raises what it
        raises, Overloaded or DeadlineExceeded.
        """
        with self._videos.admission.enter(deadline), self.engine.use() as engine:
            try:
                async with asyncio.timeout(deadline.remaining()):
                    loop = asyncio.get_running_loop()
                    asked = await loop.run_in_executor(self._reading, read, engine.bundle)
                if asked.timeout_seconds is not None:
                    deadline = Deadline.of(min(asked.timeout_seconds, deadline.remaining()))
                async with asyncio.timeout(deadline.remaining()):
                    output, _ = await engine.run(asked.frames)
            except TimeoutError:
                raise deadline.exceeded() from None
            return asked, output, engine

    async def read_check_clip(self, spec: ClipSpec) -> Clips:
        """The clips of the stored video that a model must answer before it serves."""
        own = self._settings.check_video
        # Opened here: what a thread opens for a task that is cancelled nobody closes.
        video = own.open("rb") if own else _in_memory(await asyncio.to_thread(made_clip))
        async with self._videos.decoders.lend(video) as lease:
            return await lease.read_clips(spec=spec)

    def replace(self, engine: Engine) -> Engine:
        """Let ``engine`` answer from now on; the one before, which the caller retires."""
        before, self.engine = self.engine, engine
        self._introduce(engine)
        return before

    async def warm_up(self) -> None:
        """Answer the stored video through every stage. Sets ``ready``, or ``failure``."""
        started = time.perf_counter()
        try:
            await self._videos.decoders.start()
            self._tell_confinement()
            await check(self.engine, await self.read_check_clip(self.engine.bundle.spec))
            await self.engine.stretch()
        except Exception as error:
            log.debug("warm-up", exc_info=True)
            self.failure = BackendError(f"the warm-up clip was not answered: {error}")
            return
        self.ready = True
        log.info("ready after %.1f s of warming up", time.perf_counter() - started)
        await self._timelines.decoders.start()

    def close(self) -> None:
        """Finish what is being worked on; end the decoding processes and free the model."""
        self.ready = False
        self._reading.shutdown()
        self._videos.decoders.close()
        self._timelines.decoders.close()
        self.engine.close()

    def _lane(self, ask: Ask) -> Lane:
        return self._timelines if ask.timeline else self._videos

    def _tell_confinement(self) -> None:
        held = self._videos.decoders.confinement
        self.metrics.confined(held)
        if missing := [name for measure, name in MEASURES.items() if measure not in held]:
            log.warning(
                "this kernel or container lacks %s: what breaks into a decoder is held by the "
                "other measures alone",
                " and ".join(missing),
            )

    def _introduce(self, engine: Engine) -> None:
        engine.on_batch = self._count
        name, version = engine.bundle.name, engine.bundle.version
        self.metrics.serve_model(name=name, version=version, backend=engine.backend)

    def _count(self, batch: Batch) -> None:
        self.metrics.batch(clips=sum(len(part.frames) for part in batch), requests=len(batch))


def _in_memory(content: bytes) -> BinaryIO:
    file = os.fdopen(os.memfd_create("check"), "w+b")  # not on a disk that may be full
    file.write(content)
    return cast(BinaryIO, file)
