"""The public face: ``Classifier.open(bundle).classify(path)``."""

import time
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from motionfit.inference.bundle import Bundle
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits, VideoInfo
from motionfit.inference.errors import BackendError
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.prediction import ClassScore, predict, video_embedding
from motionfit.inference.runner import Backend, Device, Output, Runner, open_runner
from motionfit.inference.sampling import MICROSECONDS, WHOLE, Span
from motionfit.inference.timeline import Timeline, default_stride_seconds
from motionfit.inference.timeline import timeline as timeline_of
from motionfit.inference.video import Clips, Source, read_clips, read_windows

MAX_WINDOWS = 4096
"""Sliding windows of one video: 27 minutes at four tenths of a second."""
_Kind = TypeVar("_Kind", bound=StrEnum)


@dataclass(frozen=True, kw_only=True)
class ClipSpan:
    """Where in the video a clip was taken, in seconds from its first frame."""

    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a bundle's student says of one video."""

    label: str | None
    """The best class, or None for "none of these"."""
    top: tuple[ClassScore, ...]
    """The best classes with calibrated scores, best first."""
    clips: tuple[ClipSpan, ...]
    timings_ms: dict[str, float]
    """Milliseconds of each stage: ``decode``, ``infer``, ``post``, and their ``total``."""
    model_name: str
    model_version: str
    video: VideoInfo
    embedding: tuple[float, ...] | None = None
    """The video as a point, of length 1; None where it was not asked for."""
    timeline: Timeline | None = None
    """What happens when; None where it was not asked for."""


class Classifier:
    """A bundle ready to recognise videos. Use as a context manager, or close it.

    Not for concurrent calls: give each thread its own, and close it on the thread that opened it
    (closed elsewhere, OpenVINO leaves a process that the next signal kills).
    """

    def __init__(
        self,
        *,
        bundle: Bundle,
        runner: Runner,
        decoder: DecoderProcess | None,
        limits: DecodeLimits,
    ) -> None:
        self.bundle = bundle
        self.runner = runner
        self._decoder = decoder
        self._limits = limits
        self._closed = False

    @classmethod
    def open(
        cls,
        bundle: Path | str | None = None,
        *,
        backend: Backend | str = Backend.AUTO,
        device: Device | str = Device.AUTO,
        threads: int | None = None,
        isolate: bool = True,
        limits: DecodeLimits | None = None,
    ) -> Self:
        """Open a bundle; without one, the student embedded in the package.

        ``isolate=False`` decodes in this process: a little quicker, only for videos you trust.
        Raises BundleError, BackendError or MissingExtra.
        """
        limits = limits or DecodeLimits()
        opened = Bundle.open(bundle)
        runner = open_runner(
            opened,
            backend=_one_of(Backend, backend),
            device=_one_of(Device, device),
            threads=threads,
        )
        decoder = DecoderProcess(limits=limits) if isolate else None
        return cls(bundle=opened, runner=runner, decoder=decoder, limits=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the model and end the decoding process."""
        self._closed = True
        self.runner.close()
        if self._decoder is not None:
            self._decoder.close()

    def classify(
        self,
        source: Source,
        *,
        clips: int | None = None,
        top: int = 5,
        span: Span = WHOLE,
        embedding: bool = False,
        timeline: bool = False,
        stride_seconds: float | None = None,
    ) -> Answer:
        """Recognise one video, or the ``span`` of it, and name the ``top`` best classes.

        It looks at ``clips`` windows (1 to 64; default: the bundle's) spread over it; with
        ``timeline`` at windows that slide by ``stride_seconds`` (default: half a clip), and says
        what happens when.

        Raises a VideoError when the video is at fault, FileNotFoundError when it is not there, and
        ValueError when a number is out of its range, when ``clips`` and ``timeline`` or a stride
        without ``timeline`` are given, or when this Classifier is closed.
        """
        if self._closed:
            raise ValueError("this Classifier is closed; open another one")
        if timeline and clips is not None:
            raise ValueError(f"a timeline looks at all windows: leave clips={clips} out")
        if stride_seconds is not None and not timeline:
            raise ValueError(f"stride_seconds={stride_seconds:g} is for a timeline: ask for one")
        spec = self.bundle.spec
        if timeline and stride_seconds is None:
            stride_seconds = default_stride_seconds(spec)
        if clips is not None:
            spec = replace(spec, num_clips=clips)
        output, seen, timings_ms = self._look(source, spec, span, stride_seconds)
        return answer(
            output,
            seen,
            bundle=self.bundle,
            top=top,
            timings_ms=timings_ms,
            span=span,
            embedding=embedding,
            stride_seconds=stride_seconds,
        )

    def _look(
        self, source: Source, spec: ClipSpec, span: Span, stride_seconds: float | None
    ) -> tuple[Output, Clips, dict[str, float]]:
        """What the model says of a video's clips or, given a stride, of its sliding windows."""
        parts: list[tuple[Output, Clips]] = []
        decode_ms = infer_ms = 0.0
        begin = time.perf_counter()
        with closing(self._read(source, spec, span, stride_seconds)) as chunks:
            for chunk in chunks:
                decoded = time.perf_counter()
                parts.append((self.runner.run(chunk.frames), chunk.without_frames()))
                inferred = time.perf_counter()
                decode_ms += (decoded - begin) * 1e3
                infer_ms += (inferred - decoded) * 1e3
                begin = inferred
        return *joined(parts), {"decode": decode_ms, "infer": infer_ms}

    def _read(
        self, source: Source, spec: ClipSpec, span: Span, stride_seconds: float | None
    ) -> Generator[Clips]:
        limits, decoder = self._limits, self._decoder
        if stride_seconds is None:
            read = decoder.read_clips if decoder else partial(read_clips, limits=limits)
            yield read(source, spec=spec, span=span)
        else:
            slide = decoder.read_windows if decoder else partial(read_windows, limits=limits)
            yield from slide(
                source,
                spec=spec,
                stride_seconds=stride_seconds,
                span=span,
                max_windows=MAX_WINDOWS,
            )


def joined(parts: Iterable[tuple[Output, Clips]]) -> tuple[Output, Clips]:
    """What the model says of chunks of a video, as one; the frames are left out."""
    outputs, chunks = zip(*parts, strict=True)
    output = Output(
        logits=np.concatenate([one.logits for one in outputs]),
        embedding=np.concatenate([one.embedding for one in outputs]),
    )
    starts_us = np.concatenate([chunk.starts_us for chunk in chunks])
    return output, replace(chunks[-1].without_frames(), starts_us=starts_us)


def answer(
    output: Output,
    clips: Clips,
    *,
    bundle: Bundle,
    top: int,
    timings_ms: dict[str, float],
    span: Span = WHOLE,
    embedding: bool = False,
    stride_seconds: float | None = None,
) -> Answer:
    """The answer for a video of which ``span`` was looked at and whose ``clips`` gave ``output``.

    With ``stride_seconds`` they are all windows that slide by it, and the answer has a timeline.
    ``timings_ms`` names the stages so far; ``post`` and ``total`` are added.
    """
    begin = time.perf_counter()
    spec = bundle.spec
    prediction = predict(output.logits, spec=spec, labels=bundle.labels, top=top)
    end = clips.info.duration_seconds
    if span.end_seconds is not None:
        end = min(end, span.end_seconds)
    starts = [start / MICROSECONDS for start in clips.starts_us.tolist()]
    spans = tuple(
        ClipSpan(start_seconds=start, end_seconds=round(min(end, start + spec.clip_seconds), 6))
        for start in starts
    )
    timeline = None
    if stride_seconds is not None:
        timeline = timeline_of(
            output.logits,
            starts_us=clips.starts_us,
            duration_us=round(end * MICROSECONDS),
            stride_seconds=stride_seconds,
            spec=spec,
            labels=bundle.labels,
        )
    point = video_embedding(output.embedding) if embedding else None
    timings_ms = timings_ms | {"post": (time.perf_counter() - begin) * 1e3}
    return Answer(
        label=prediction.label,
        top=prediction.top,
        clips=spans,
        timings_ms=timings_ms | {"total": sum(timings_ms.values())},
        model_name=bundle.name,
        model_version=bundle.version,
        video=clips.info,
        embedding=point,
        timeline=timeline,
    )


def _one_of(kind: type[_Kind], value: str) -> _Kind:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(kind)
        raise BackendError(f"{kind.__name__.lower()} {value!r}: choose one of {allowed}") from None
