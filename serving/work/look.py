"""One request's way through a decoder and the model."""

import time
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from motionfit.inference.classifier import Answer, answer
from motionfit.inference.runner import Output
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
            self._stride_seconds = ask.stride_seconds or spec.clip_seconds / 2
        self._timings_ms = dict.fromkeys(("queue", "decode", "batch", "infer"), 0.0)
        self._last = time.perf_counter()
        self._clips: list[Clips] = []
        self._outputs: list[Output] = []

    async def at(self, video: BinaryIO, *, decoders: DecoderPool) -> None:
        """Decode the video, which is closed afterwards, and give its clips to the model."""
        spec, span = self._engine.bundle.spec, self._ask.span
        async with decoders.lend(video) as lease:
            self.begun = True
            self._count("queue")
            if self._stride_seconds is None:
                clips = await lease.read_clips(spec=spec, num_clips=self._ask.clips, span=span)
                self._count("decode")
            else:
                windows = lease.read_windows(
                    spec=spec,
                    stride_seconds=self._stride_seconds,
                    span=span,
                    max_windows=self._max_windows,
                )
                async for chunk in windows:
                    self._count("decode")
                    await self._infer(chunk)
        if self._stride_seconds is None:
            await self._infer(clips)

    def answer(self) -> Answer:
        """The answer. Takes milliseconds for a long timeline."""
        logits, embeddings = zip(*self._outputs, strict=True)
        clips = Clips(
            frames=self._clips[0].frames,
            starts_us=np.concatenate([clips.starts_us for clips in self._clips]),
            info=self._clips[-1].info,
        )
        return answer(
            Output(np.concatenate(logits), np.concatenate(embeddings)),
            clips,
            bundle=self._engine.bundle,
            top=self._ask.top,
            timings_ms=self._timings_ms,
        )

    async def _infer(self, clips: Clips) -> None:
        output, infer_ms = await self._engine.run(clips.frames)
        self._count("batch")
        self._timings_ms["batch"] -= infer_ms
        self._timings_ms["infer"] += infer_ms
        self._outputs.append(output)
        none = np.empty((0, *clips.frames.shape[1:]), np.uint8)
        self._clips.append(replace(clips, frames=none))  # the pictures have been seen

    def _count(self, stage: str) -> None:
        """The time since the last call was spent on ``stage``."""
        now = time.perf_counter()
        self._timings_ms[stage] += (now - self._last) * 1000
        self._last = now
