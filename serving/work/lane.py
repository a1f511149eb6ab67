"""Two lanes: videos, answered in a moment, and timelines, which may take minutes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Self

from motionfit.inference.limits import DecodeLimits
from motionfit.serving.errors import Overloaded
from motionfit.serving.metrics import Metrics
from motionfit.serving.settings import Settings
from motionfit.serving.work.admission import Admission
from motionfit.serving.work.deadline import Deadline
from motionfit.serving.work.decoding import DecoderPool

# How nice decoders are: where cores are short, who only wants to be told so gets his answer first,
# and timelines come last.
_VIDEOS_NICE = 5
_TIMELINES_NICE = 10
_LEAST_TIMELINES = 2  # at a time, so that a short one does not wait for a long one


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A queue and the decoders at its end."""

    admission: Admission
    decoders: DecoderPool

    @classmethod
    def of_videos(cls, settings: Settings, *, metrics: Metrics) -> Self:
        """The lane for the clips of videos."""
        return cls(
            admission=Admission(settings.queue_size, servers=settings.decoders),
            decoders=_pool(settings, metrics, size=settings.decoders, spares=1, nice=_VIDEOS_NICE),
        )

    @classmethod
    def of_timelines(cls, settings: Settings, *, metrics: Metrics) -> Self:
        """The lane for timelines: a few at a time, and only where the others leave room."""
        size = max(_LEAST_TIMELINES, settings.decoders)
        return cls(
            admission=Admission(settings.queue_size, servers=size),
            decoders=_pool(settings, metrics, size=size, nice=_TIMELINES_NICE),
        )

    @contextmanager
    def place(self, video: BinaryIO, *, deadline: Deadline) -> Iterator[None]:
        """A place in the queue. Raises Overloaded, and closes ``video``, when there is none."""
        try:
            self.admission.check(deadline)
        except Overloaded:
            asyncio.get_running_loop().run_in_executor(None, video.close)
            raise
        with self.admission.enter(deadline):
            yield


def _pool(
    settings: Settings, metrics: Metrics, *, size: int, nice: int, spares: int = 0
) -> DecoderPool:
    return DecoderPool(
        size,
        spares=spares,
        nice=nice,
        limits=DecodeLimits(
            max_duration_seconds=settings.max_duration_seconds,
            timeout_seconds=settings.decode_timeout_seconds,
            cpu_seconds=settings.decode_timeout_seconds,
        ),
        max_jobs=settings.decoder_jobs,
        on_restart=metrics.decoder_restarted,
    )
