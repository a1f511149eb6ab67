"""A pool of decoding processes. Each decodes one video at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, BinaryIO, TypeVar

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BackendError, Cancelled, DecodeTimeout
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.limits import DecodeLimits
from motionfit.inference.sampling import WHOLE, Span
from motionfit.inference.video import Clips
from motionfit.serving.resources import resources
from motionfit.serving.shielded import shielded

_ASK_AGAIN_SECONDS = 0.1
_RETRY_SECONDS = 1.0
_T = TypeVar("_T")

log = logging.getLogger(__name__)


class DecoderPool:
    """``size`` warm decoding processes, and ``spares`` that stand by.

    A process that died, or has read ``max_jobs`` videos, is replaced by a spare at once and
    started anew behind it. Videos that find none free wait in the order in which they came. All
    but ``open`` and ``close`` is for the event loop's thread alone.
    """

    def __init__(
        self,
        size: int,
        *,
        limits: DecodeLimits,
        max_jobs: int,
        on_restart: Callable[[str], None],
        spares: int = 0,
        nice: int = 0,
    ) -> None:
        """``on_restart`` is told why a process is replaced: one of ``metrics.RESTARTS``."""
        self._size, self._max_jobs, self._on_restart = size, max_jobs, on_restart
        self._decoders = [_Decoder(limits=limits, nice=nice) for _ in range(size + spares)]
        self._starts: list[Future[None]] = []
        self._in_service: set[_Decoder] = set()
        self._free: asyncio.Queue[_Decoder] = asyncio.Queue()
        self._spare: list[_Decoder] = []
        self._closed = False

    def open(self) -> None:
        """Begin to start all but the spares, without an event loop and without waiting."""
        first = self._decoders[: self._size]
        self._starts = [decoder.submit(decoder.process.start) for decoder in first]

    @property
    def confinement(self) -> tuple[str, ...]:
        """What its processes gave up, of ``confinement.MEASURES``; known once they started."""
        return self._decoders[0].process.confinement

    async def start(self) -> None:
        """Wait for the processes that ``open`` began to start, and begin to start the others.

        Raises BackendError when one that is waited for does not start.
        """
        await asyncio.gather(*map(asyncio.wrap_future, self._starts))
        for decoder in self._decoders[: len(self._starts)]:
            self._put(decoder)
        for decoder in self._decoders[len(self._starts) :]:
            self._renew(decoder)

    @asynccontextmanager
    async def lend(self, video: BinaryIO) -> AsyncIterator["Lease"]:
        """A process for an open video, which is closed afterwards. Waits for a free one.

        Left while a call is in progress, which is when the task is cancelled, it stops that call.
        """
        try:
            decoder = await self._take()
        except BaseException:
            asyncio.get_running_loop().run_in_executor(None, video.close)
            raise
        lease = Lease(decoder, video)
        try:
            yield lease
        finally:
            lease.end(self._take_back)

    def close(self) -> None:
        """Wait for the videos being decoded, and end the processes."""
        self._closed = True
        for decoder in self._decoders:
            decoder.close()

    async def _take(self) -> "_Decoder":
        while (decoder := await self._free.get()).process.pid is None:  # it died while idle
            self._retire(decoder, "crashed")
        return decoder

    def _take_back(self, decoder: "_Decoder", error: BaseException | None) -> None:
        if decoder.process.pid is None:
            self._retire(decoder, _reason(error))
        elif decoder.process.jobs >= self._max_jobs:
            self._retire(decoder, "recycled")
        else:
            self._free.put_nowait(decoder)

    def _retire(self, decoder: "_Decoder", reason: str) -> None:
        self._on_restart(reason)
        self._in_service.remove(decoder)
        if self._spare:
            self._put(self._spare.pop())
        self._renew(decoder)

    def _renew(self, decoder: "_Decoder") -> None:
        if not self._closed:
            renewal = decoder.submit(decoder.process.renew)
            renewal.add_done_callback(_on_loop(partial(self._renewed, decoder)))

    def _renewed(self, decoder: "_Decoder", renewal: "Future[None]") -> None:
        try:
            renewal.result()
        except (BackendError, OSError) as error:
            if not self._closed:
                log.error("a decoder does not start: %s; trying again", error)
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._renew, decoder)
        else:
            if len(self._in_service) < self._size:
                self._put(decoder)
            else:
                self._spare.append(decoder)

    def _put(self, decoder: "_Decoder") -> None:
        self._in_service.add(decoder)
        self._free.put_nowait(decoder)


class Lease:
    """A decoding process that is one video's for a while."""

    def __init__(self, decoder: "_Decoder", video: BinaryIO) -> None:
        self._decoder, self._video = decoder, video
        self._windows: Generator[Clips, None, None] | None = None
        self._call: Future[Any] | None = None
        self._given_up = False  # in mid-timeline, which ends the process

    async def read_clips(
        self, *, spec: ClipSpec, num_clips: int | None = None, span: Span = WHOLE
    ) -> Clips:
        """The video's clips. Raises a VideoError."""
        read = self._decoder.process.read_clips
        return await self._on_thread(
            partial(read, self._video, spec=spec, num_clips=num_clips, span=span)
        )

    async def read_windows(
        self, *, spec: ClipSpec, stride_seconds: float, span: Span, max_windows: int
    ) -> AsyncIterator[Clips]:
        """The video's sliding windows, chunk by chunk. Raises a VideoError."""
        self._windows = self._decoder.process.read_windows(
            self._video,
            spec=spec,
            stride_seconds=stride_seconds,
            span=span,
            max_windows=max_windows,
        )
        take = partial(next, self._windows, None)
        while (clips := await self._on_thread(take)) is not None:
            yield clips

    def end(self, give_back: "Callable[[_Decoder, BaseException | None], None]") -> None:
        """Stop the call in progress; then close the video and give the process back."""

        def ended(_: "Future[None]") -> None:
            error = self._call.exception() if self._call else None
            if error is None and self._given_up:
                error = Cancelled("nobody waits for the rest of the timeline")
            give_back(self._decoder, error)

        self._stop()
        self._decoder.submit(self._close).add_done_callback(_on_loop(ended))

    def _stop(self) -> None:
        # Again and again: the call may not have got to where it can be cancelled.
        if self._call is not None and not self._call.done():
            self._decoder.process.cancel()
            asyncio.get_running_loop().call_later(_ASK_AGAIN_SECONDS, self._stop)

    def _close(self) -> None:
        if self._windows is not None:
            alive = self._decoder.process.pid is not None
            self._windows.close()
            self._given_up = alive and self._decoder.process.pid is None
        self._video.close()

    async def _on_thread(self, function: Callable[[], _T]) -> _T:
        call = self._call = self._decoder.submit(function)
        with resources():
            # Cancelled or not, the thread goes on using the process and the file.
            return await shielded(asyncio.wrap_future(call))


class _Decoder:
    """A decoding process and the thread that drives it, one call after the other."""

    def __init__(self, *, limits: DecodeLimits, nice: int) -> None:
        self.process = DecoderProcess(limits=limits, nice=nice)
        self._thread = ThreadPoolExecutor(1, "decoder")

    def submit(self, function: Callable[[], _T]) -> "Future[_T]":
        """Call ``function`` on the thread, after what was submitted before."""
        return self._thread.submit(function)

    def close(self) -> None:
        """Finish what was submitted, and end the process."""
        self._thread.shutdown()
        self.process.close()


def _on_loop(callback: "Callable[[Future[Any]], None]") -> "Callable[[Future[Any]], None]":
    """As ``callback``, on the running event loop's thread."""
    loop = asyncio.get_running_loop()

    def call(future: "Future[Any]") -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(callback, future)

    return call


def _reason(error: BaseException | None) -> str:
    if isinstance(error, Cancelled):
        return "cancelled"
    return "timeout" if isinstance(error, DecodeTimeout) else "crashed"
