"""Offline: how much gets done when all is there. Server: how long it takes when asked at random.

As in MLPerf Inference. In both as many workers as threads answer side by side, each with a system
of one thread: more gets done so than with all threads on one video.
"""

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue

from motionfit.benchmarks.report.open import opener
from motionfit.benchmarks.report.pipeline import Pipeline
from motionfit.benchmarks.report.stages import Stopwatch
from motionfit.benchmarks.report.systems import System
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.result import Figure, Result, TimedCase
from motionfit.benchmarks.timing import NANOSECONDS_PER_MS, Case, measure
from motionfit.training.resampling import rounded

SHARES = (0.3, 0.6, 0.85)
"""Of what the system gets done offline: how much is asked of it."""
REQUESTS, FIRST = 53, 13
"""Of each rate and process, and how many of them are left out, because the queue they met was
empty. What is left of five processes allows the 95th percentile."""
CAPACITY_ROUNDS = 3
CAPACITY = "capacity"


class Workers:
    """Systems of one thread that answer side by side."""

    def __init__(self, pipelines: Sequence[Pipeline], pool: ThreadPoolExecutor) -> None:
        self._idle: SimpleQueue[Pipeline] = SimpleQueue()
        for one in pipelines:
            self._idle.put(one)
        self._pool = pool

    def answer(self, video: Path) -> int:
        """Answer when a worker is free; when it was done, in nanoseconds."""
        one = self._idle.get()
        try:
            one.answer(video, watch=Stopwatch())
        finally:
            self._idle.put(one)
        return time.perf_counter_ns()

    def all_of(self, videos: Sequence[Path]) -> None:
        """Answer for all videos."""
        list(self._pool.map(self.answer, videos))

    def arriving(self, videos: Sequence[Path], *, rate: float, seed: int) -> list[float]:
        """Milliseconds from each request's arrival to its answer.

        Requests arrive whether or not earlier ones were answered: gaps are exponential.
        """
        rng = random.Random(seed)
        gaps = accumulate(rng.expovariate(rate) for _ in range(REQUESTS))
        begun, asked = time.perf_counter_ns(), []
        for number, seconds in enumerate(gaps):
            due = begun + round(seconds * 1e9)
            time.sleep(max(0, due - time.perf_counter_ns()) / 1e9)
            asked.append((due, self._pool.submit(self.answer, videos[number % len(videos)])))
        waits = [(one.result() - due) / NANOSECONDS_PER_MS for due, one in asked]
        return waits[FIRST:]


def scenario_part(work: Work) -> Result:
    """Both systems of the first row in a scenario: a result of kind ``report-offline`` or
    ``report-server``.

    Cases are ``SYSTEM`` (milliseconds for all videos) and ``RATE/SYSTEM`` (for each request, RATE
    being the share of the system's own capacity).
    """
    videos = work.videos
    with ExitStack() as stack:
        workers = {one.name: _workers(work, one, stack) for one in work.cell.systems}
        if work.cell.kind == "offline":
            samples = measure(
                [Case(name=name, run=partial(own.all_of, videos)) for name, own in workers.items()],
                rounds=work.cell.rounds,
                warmup_rounds=work.cell.warmup_rounds,
                seed=work.seed,
            )
            capacities = dict[str, float]()
        else:
            samples, capacities = _served(work, workers, videos)
    cases = tuple(TimedCase.of(name, ms, seed=work.seed) for name, ms in samples.items())
    return work.finish(
        settings={"videos": len(videos)},
        cases=cases,
        figures=tuple(
            Figure(name=f"{name}/{CAPACITY}", unit="videos/s", value=rounded(value))
            for name, value in capacities.items()
        ),
    )


def _served(
    work: Work, workers: dict[str, Workers], videos: Sequence[Path]
) -> tuple[dict[str, tuple[float, ...]], dict[str, float]]:
    """Milliseconds of the requests of each rate and system, and what each gets done at most."""
    capacities = {name: _capacity(own, videos) for name, own in workers.items()}
    asked = [(share, name) for share in SHARES for name in workers]
    random.Random(work.seed).shuffle(asked)
    found = {}
    for share, name in asked:
        rate = share * capacities[name]
        found[f"{share:g}/{name}"] = tuple(
            workers[name].arriving(videos, rate=rate, seed=work.seed)
        )
    return found, capacities


def _capacity(workers: Workers, videos: Sequence[Path]) -> float:
    """Videos a second when all are there: the median of a few rounds."""
    seconds = []
    for _ in range(CAPACITY_ROUNDS):
        begun = time.perf_counter()
        workers.all_of(videos)
        seconds.append(time.perf_counter() - begun)
    return len(videos) / sorted(seconds)[CAPACITY_ROUNDS // 2]


def _workers(work: Work, system: System, stack: ExitStack) -> Workers:
    pipelines = []
    for _ in range(work.options.threads):
        context = opener(work.options, work.folder, cell=work.options.timed_cell(), threads=1)
        pipelines.append(stack.enter_context(context).open(system))
    # Room for every request of a rate: they wait here, not where they arrive.
    return Workers(pipelines, stack.enter_context(ThreadPoolExecutor(REQUESTS)))
