"""The public face: ``Classifier.open(bundle).classify(path)``."""

import time
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Self, TypeVar

from motionfit.inference.bundle import Bundle
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits, VideoInfo
from motionfit.inference.errors import BackendError
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.prediction import ClassScore, predict
from motionfit.inference.runner import Backend, Device, Output, Runner, open_runner
from motionfit.inference.sampling import MICROSECONDS
from motionfit.inference.video import Clips, Source, read_clips

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

    def classify(self, source: Source, *, clips: int | None = None, top: int = 5) -> Answer:
        """Recognise one video from ``clips`` windows (1 to 64; default: the bundle's) spread over
        it, and name the ``top`` best classes.

        Raises a VideoError when the video is at fault, FileNotFoundError when it is not there, and
        ValueError when ``clips`` or ``top`` is out of its range or this Classifier is closed.
        """
        if self._closed:
            raise ValueError("this Classifier is closed; open another one")
        spec = self.bundle.spec
        if clips is not None:
            spec = replace(spec, num_clips=clips)
        begin = time.perf_counter()
        windows = self._read(source, spec)
        decoded = time.perf_counter()
        output = self.runner.run(windows.frames)
        inferred = time.perf_counter()
        timings_ms = {
            "decode": (decoded - begin) * 1e3,
            "infer": (inferred - decoded) * 1e3,
        }
        return answer(output, windows, bundle=self.bundle, top=top, timings_ms=timings_ms)

    def _read(self, source: Source, spec: ClipSpec) -> Clips:
        if self._decoder is None:
            return read_clips(source, spec=spec, limits=self._limits)
        return self._decoder.read_clips(source, spec=spec)


def answer(
    output: Output, clips: Clips, *, bundle: Bundle, top: int, timings_ms: dict[str, float]
) -> Answer:
    """The answer for a video whose ``clips`` gave ``output``.

    ``timings_ms`` names the stages so far; ``post`` and ``total`` are added.
    """
    begin = time.perf_counter()
    spec = bundle.spec
    prediction = predict(output.logits, spec=spec, labels=bundle.labels, top=top)
    end = clips.info.duration_seconds
    starts = [start / MICROSECONDS for start in clips.starts_us.tolist()]
    spans = tuple(
        ClipSpan(start_seconds=start, end_seconds=round(min(end, start + spec.clip_seconds), 6))
        for start in starts
    )
    timings_ms = timings_ms | {"post": (time.perf_counter() - begin) * 1e3}
    return Answer(
        label=prediction.label,
        top=prediction.top,
        clips=spans,
        timings_ms=timings_ms | {"total": sum(timings_ms.values())},
        model_name=bundle.name,
        model_version=bundle.version,
        video=clips.info,
    )


def _one_of(kind: type[_Kind], value: str) -> _Kind:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(kind)
        raise BackendError(f"{kind.__name__.lower()} {value!r}: choose one of {allowed}") from None
