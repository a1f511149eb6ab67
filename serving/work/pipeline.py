"""From an uploaded file to an answer: decoding processes, the model's thread, readiness."""

import asyncio
import logging
import tempfile
import time
from functools import partial
from typing import BinaryIO, Self, cast

from motionfit.inference.bundle import Bundle
from motionfit.inference.classifier import Answer, answer
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import BackendError
from motionfit.inference.runner import open_runner
from motionfit.inference.warmup import made_clip
from motionfit.serving.errors import NotReady
from motionfit.serving.settings import Settings
from motionfit.serving.work.batching import ModelThread
from motionfit.serving.work.decoding import DecoderPool

log = logging.getLogger(__name__)


class Pipeline:
    """An opened bundle with what it takes to answer. Ready once it answered a made clip."""

    def __init__(self, bundle: Bundle, *, model: ModelThread, decoders: DecoderPool) -> None:
        self.bundle = bundle
        self.ready = False
        self.failure: BackendError | None = None
        """Why it will never be ready."""
        self._model = model
        self._decoders = decoders

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the bundle and load its model.

        Raises BundleError, BackendError or MissingExtra.
        """
        bundle = Bundle.open(settings.bundle)
        backend, device = settings.backend, settings.device
        model = ModelThread(
            partial(open_runner, bundle, backend=backend, device=device, threads=settings.threads)
        )
        limits = DecodeLimits(timeout_seconds=settings.decode_timeout_seconds)
        return cls(bundle, model=model, decoders=DecoderPool(settings.decoders, limits=limits))

    @property
    def backend(self) -> str:
        """Runtime and device that run the model."""
        return self._model.name

    def require_ready(self) -> None:
        """Raise NotReady before the warm-up clip was answered, and after ``close``."""
        if not self.ready:
            raise NotReady(
                "the server has not answered its warm-up clip yet; try again in a second"
            )

    async def classify(self, video: BinaryIO, *, num_clips: int | None, top: int) -> Answer:
        """The answer for an open video, which is closed afterwards. Raises a VideoError."""
        clips, decode_ms = await self._decoders.read_clips(
            video, spec=self.bundle.spec, num_clips=num_clips
        )
        output, infer_ms = await self._model.run(clips.frames)
        timings_ms = {"decode": decode_ms, "infer": infer_ms}
        return answer(output, clips, bundle=self.bundle, top=top, timings_ms=timings_ms)

    async def warm_up(self) -> None:
        """Answer a made clip through every stage. Sets ``ready``, or ``failure``."""
        started = time.perf_counter()
        try:
            await self._decoders.start()
            with tempfile.TemporaryFile() as video:
                video.write(await asyncio.to_thread(made_clip))
                video.seek(0)
                await self.classify(cast(BinaryIO, video), num_clips=None, top=1)
        except Exception as error:
            log.debug("warm-up", exc_info=True)
            self.failure = BackendError(f"the warm-up clip was not answered: {error}")
        else:
            self.ready = True
            log.info("ready after %.1f s of warming up", time.perf_counter() - started)

    def close(self) -> None:
        """Finish what is being worked on; end the decoding processes and free the model."""
        self.ready = False
        self._decoders.close()
        self._model.close()
