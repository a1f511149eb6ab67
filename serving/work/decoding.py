"""A pool of decoding processes for the server: each video is decoded by a process of its own."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import BinaryIO

from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.video import Clips


class DecoderPool:
    """``size`` decoding processes, each driven by a thread. More videos than that wait."""

    def __init__(self, size: int, *, limits: DecodeLimits) -> None:
        self._decoders = [DecoderProcess(limits=limits) for _ in range(size)]
        self._free: SimpleQueue[DecoderProcess] = SimpleQueue()
        for decoder in self._decoders:
            self._free.put(decoder)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="decoder")

    async def start(self) -> None:
        """Start all processes at once, so that no video need wait for one."""
        loop = asyncio.get_running_loop()
        starts = [loop.run_in_executor(self._threads, decoder.start) for decoder in self._decoders]
        await asyncio.gather(*starts)

    async def read_clips(
        self, video: BinaryIO, *, spec: ClipSpec, num_clips: int | None
    ) -> tuple[Clips, float]:
        """The clips of an open video, which is closed afterwards, and the milliseconds it took.

        Raises a VideoError when the video is at fault.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, video, spec, num_clips)

    def _read(self, video: BinaryIO, spec: ClipSpec, num_clips: int | None) -> tuple[Clips, float]:
        # On the pool's thread, so that neither the decoder nor the file is let go of while in use
        # when the request is cancelled.
        with video:
            decoder = self._free.get()
            try:
                started = time.perf_counter()
                clips = decoder.read_clips(video, spec=spec, num_clips=num_clips)
                return clips, (time.perf_counter() - started) * 1000
            finally:
                self._free.put(decoder)

    def close(self) -> None:
        """Wait for the videos being decoded, and end the processes."""
        self._threads.shutdown(cancel_futures=True)
        for decoder in self._decoders:
            decoder.close()
