"""What a server is held against: decoding and the model, called in Python, without HTTP."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

from motionfit.inference.bundle import Bundle
from motionfit.inference.classifier import Answer, answer
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.runner import Backend, Runner, open_runner

TOP = 5


class BarePipeline:
    """Child processes that decode, each driven by a thread, and a model that they take turns at."""

    def __init__(
        self, bundle: Bundle, *, runner: Runner, decoders: Sequence[DecoderProcess]
    ) -> None:
        self.bundle, self.runner = bundle, runner
        self._decoders = decoders
        self._model = Lock()

    def classify(self, video: Path) -> Answer:
        """The answer for one video."""
        return self._classify(video, self._decoders[0])

    def run(self, videos: Sequence[Path]) -> None:
        """Answer for all videos, as many at a time as there are decoders."""
        waiting = iter(list(videos))  # the threads share it; taking the next one is atomic

        def work(decoder: DecoderProcess) -> None:
            for video in waiting:
                self._classify(video, decoder)

        with ThreadPoolExecutor(len(self._decoders)) as threads:
            list(threads.map(work, self._decoders))

    def _classify(self, video: Path, decoder: DecoderProcess) -> Answer:
        clips = decoder.read_clips(video, spec=self.bundle.spec)
        with self._model:
            output = self.runner.run(clips.frames)
        return answer(output, clips, bundle=self.bundle, top=TOP, timings_ms={})


@contextmanager
def open_pipeline(
    bundle: Bundle, *, backend: Backend, threads: int | None, decoders: int
) -> Iterator[BarePipeline]:
    """A pipeline with its processes started. Raises BackendError or MissingExtra."""
    with ExitStack() as stack:
        runner = open_runner(bundle, backend=backend, threads=threads)
        stack.callback(runner.close)
        started = [stack.enter_context(DecoderProcess()) for _ in range(decoders)]
        for decoder in started:
            decoder.start()
        yield BarePipeline(bundle, runner=runner, decoders=started)
