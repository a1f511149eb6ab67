"""A bundle that is being served: its model's thread, and the count of requests that use it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.bundle import Bundle
from motionfit.inference.runner import Output, open_runner
from motionfit.inference.tensors import check_frames
from motionfit.serving.settings import Settings
from motionfit.serving.work.batching import ModelThread
from motionfit.serving.work.clip_queue import Batch


class Engine:
    """A bundle with the thread that owns its model, and the count of requests that use it."""

    def __init__(self, bundle: Bundle, *, settings: Settings) -> None:
        self.bundle = bundle
        self.on_batch: Callable[[Batch], None] = lambda _: None
        """Called on the model's thread after each batch."""
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self._model = ModelThread(
            partial(
                open_runner,
                bundle,
                backend=settings.backend,
                device=settings.device,
                threads=settings.threads,
            ),
            max_batch_clips=settings.max_batch_clips,
            batch_wait_seconds=settings.batch_wait_ms / 1000,
            on_batch=lambda batch: self.on_batch(batch),
        )

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the bundle that ``settings`` name and load its model; this takes a while.

        Raises BundleError, BackendError or MissingExtra.
        """
        # Resolved, so that a link that is moved meanwhile does not mix two bundles.
        path = settings.bundle and settings.bundle.resolve()
        return cls(Bundle.open(path), settings=settings)

    @property
    def backend(self) -> str:
        """Runtime and device that run the model."""
        return self._model.name

    async def run(self, frames: NDArray[np.uint8]) -> tuple[Output, float]:
        """The output for clips (N, T, S, S, 3) uint8, and the milliseconds that the model took.

        Clips of several requests are run together. When this is cancelled, those that wait are
        not run. Raises ValueError when the clips are not of the bundle's form.
        """
        check_frames(frames, spec=self.bundle.spec)
        return await self._model.run(frames)

    async def stretch(self) -> None:
        """Run the largest batch, so that later ones find the memory that they need."""
        spec = self.bundle.spec
        clip = (spec.num_frames, spec.crop, spec.crop, 3)
        await self._model.run(np.zeros((self._model.max_clips, *clip), np.uint8))

    @contextmanager
    def use(self) -> Iterator[Self]:
        """Keep the model loaded meanwhile."""
        self._users += 1
        self._unused.clear()
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def retire(self) -> None:
        """Wait until nobody uses it, and free the model."""
        await self._unused.wait()
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Finish the clips that wait, and free the model."""
        self._model.close()
