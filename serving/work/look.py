"""One request's way through a decoder and the model."""

import time
from typing import BinaryIO

from motionfit.inference.classifier import Answer, answer, joined
from motionfit.inference.runner import Output
from motionfit.inference.timeline import default_stride_seconds
from motionfit.inference.video import Clips
from motionfit.serving.work.ask import Ask
from motionfit.serving.work.decoding import DecoderPool
from motionfit.serving.work.engine import Engine


class Look:
    """What was seen of one video so far. For one request."""

    def __init__(self, ask: Ask, engine: Engine, *, max_windows: int) -> None:
        self.begun = False
        """Whether a decoder was free."""
        self._ask, self._engine, self._max_windows = ask, engine, max_windows
        self._stride_seconds: float | None = None
        if ask.timeline:
            spec = engine.bundle.spec
            self._stride_seconds = ask.stride_seconds or default_stride_seconds(spec)
        self._timings_ms = dict.fromkeys(("queue", "decode", "batch", "infer"), 0.0)
        self._last = time.perf_counter()
        self._seen: list[tuple[Output, Clips]] = []

    async def at(self, video: BinaryIO, *, decoders: DecoderPool) -> None:
        """Decode the video, which is closed afterwards, and give its clips to the model."""
        if self._stride_seconds is None:
            await self._at_clips(video, decoders)
        else:
            await self._at_windows(video, decoders, stride_seconds=self._stride_seconds)

    def answer(self) -> Answer:
        """The answer. Takes milliseconds for a long timeline."""
        output, clips = joined(self._seen)
        return answer(
            output,
            clips,
            bundle=self._engine.bundle,
            top=self._ask.top,
            timings_ms=self._timings_ms,
            span=self._ask.span,
            embedding=self._ask.embedding,
            stride_seconds=self._stride_seconds,
        )

    async def _at_clips(self, video: BinaryIO, decoders: DecoderPool) -> None:
        async with decoders.lend(video) as lease:
            self._begin()
            clips = await lease.read_clips(
                spec=self._engine.bundle.spec, num_clips=self._ask.clips, span=self._ask.span
            )
            self._count("decode")
        await self._infer(clips)

    async def _at_windows(
        self, video: BinaryIO, decoders: DecoderPool, *, stride_seconds: float
    ) -> None:
        async with decoders.lend(video) as lease:
            self._begin()
            windows = lease.read_windows(
                spec=self._engine.bundle.spec,
                stride_seconds=stride_seconds,
                span=self._ask.span,
                max_windows=self._max_windows,
            )
            async for chunk in windows:
                self._count("decode")
                await self._infer(chunk)

    def _begin(self) -> None:
        self.begun = True
        self._count("queue")

    async def _infer(self, clips: Clips) -> None:
        output, infer_ms = await self._engine.run(clips.frames)
        self._count("batch")
        self._timings_ms["batch"] -= infer_ms
        self._timings_ms["infer"] += infer_ms
        self._seen.append((output, clips.without_frames()))

    def _count(self, stage: str) -> None:
        """The time since the last call was spent on ``stage``."""
        now = time.perf_counter()
        self._timings_ms[stage] += (now - self._last) * 1000
        self._last = now
