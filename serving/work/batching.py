"""The one thread that owns the model."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.runner import Output, Runner


class ModelThread:
    """A runner that is opened, used and closed on a thread of its own. More clips wait.

    Closing must be done by the thread that opened: OpenVINO gives that thread a stack for signal
    handlers, and takes it back on closing. Done elsewhere, the next signal kills the process.
    """

    def __init__(self, open_model: Callable[[], Runner]) -> None:
        """Open the model. Raises what ``open_model`` raises."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        try:
            self._runner = self._thread.submit(open_model).result()
        except BaseException:
            self._thread.shutdown()
            raise
        self.name = self._runner.name
        """Runtime and device."""

    async def run(self, frames: NDArray[np.uint8]) -> tuple[Output, float]:
        """The output for clips (N, T, H, W, 3) uint8, and the milliseconds it took."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, frames)

    def _run(self, frames: NDArray[np.uint8]) -> tuple[Output, float]:
        started = time.perf_counter()
        output = self._runner.run(frames)
        return output, (time.perf_counter() - started) * 1000

    def close(self) -> None:
        """Finish the clips that wait, and free the model."""
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()
