"""How time grows: with clips, threads, length and size of the video, width, batch, callers."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np

from motionfit.benchmarks.engines import SETTLE_SECONDS
from motionfit.benchmarks.report.open import opener, usable_cores
from motionfit.benchmarks.report.pipeline import Opener, Pipeline
from motionfit.benchmarks.report.plan import CLIPS
from motionfit.benchmarks.report.stages import Stopwatch
from motionfit.benchmarks.report.systems import System
from motionfit.benchmarks.report.timed import TOTAL, Entrant, time_systems
from motionfit.benchmarks.report.variants import variant
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.result import Result, TimedCase
from motionfit.benchmarks.timing import Case, measure

VARIANTS = "variants"
BATCHES = (1, 2, 4, 8, 16, 32)
CONCURRENCY = (1, 2, 4, 8)
SECONDS = (2, 8, 32, 64)
HEIGHTS = (240, 360, 480, 720, 1080)
USUAL_HEIGHT, USUAL_SECONDS = 360, 10

Entrants = dict[str, Entrant]


def scaling_part(work: Work) -> Result:
    """Time the two systems of the first row along one line: a result of kind ``report-scaling``.

    Cases are ``SWEEP/SIZE/SYSTEM/total`` and its stages.
    """
    with ExitStack() as stack:
        cases = _cases(work, stack)
    return work.finish(settings={"sweep": work.cell.what}, cases=cases)


def _cases(work: Work, stack: ExitStack) -> tuple[TimedCase, ...]:
    open_one = partial(opener, work.options, work.folder, cell=work.options.timed_cell())
    videos = work.videos
    systems = work.cell.systems
    match work.cell.what:
        case "clips":
            found = stack.enter_context(open_one())
            entrants = {
                f"{clips}/{one.name}": Entrant(
                    pipeline=replace(found, num_clips=clips).open(one), videos=videos
                )
                for clips in CLIPS
                for one in systems
            }
        case "threads":
            entrants = {
                f"{threads}/{one.name}": Entrant(
                    pipeline=stack.enter_context(open_one(threads=threads)).open(one),
                    videos=videos,
                )
                for threads in _doubling(usable_cores())
                for one in systems
            }
        case "length" | "resolution" as what:
            entrants = _of_variants(stack.enter_context(open_one()), work, what)
        case "batch":
            found = stack.enter_context(open_one())
            return _measured(work, [_batch(found.open(one), n) for n in BATCHES for one in systems])
        case _:
            openers = [stack.enter_context(open_one(threads=1)) for _ in range(max(CONCURRENCY))]
            return _concurrent(work, openers, systems, videos, stack)
    return time_systems(
        {f"{work.cell.what}/{name}": one for name, one in entrants.items()},
        rounds=work.cell.rounds,
        warmup_rounds=work.cell.warmup_rounds,
        seed=work.seed,
    )


def _doubling(most: int) -> list[int]:
    """1, 2, 4 and so on, and the most itself."""
    return sorted({*(1 << power for power in range(most.bit_length()) if 1 << power <= most), most})


def write_variants(work: Work) -> None:
    """Write the videos of the sweeps of length and size."""
    for what in ("length", "resolution"):
        _variants(work, what)


def _variants(work: Work, what: str) -> dict[str, Path]:
    """The sizes of a sweep, and the video of each."""
    source = max(work.options.timed_videos(), key=lambda path: path.stat().st_size)
    make = partial(variant, work.folder / VARIANTS, source)
    if what == "length":
        return {f"{one}": make(height=USUAL_HEIGHT, seconds=one) for one in SECONDS}
    return {f"{one}": make(height=one, seconds=USUAL_SECONDS) for one in HEIGHTS}


def _of_variants(found: Opener, work: Work, what: str) -> Entrants:
    pipelines = [found.open(one) for one in work.cell.systems]
    return {
        f"{name}/{one.system.name}": Entrant(pipeline=one, videos=[path])
        for name, path in _variants(work, what).items()
        for one in pipelines
    }


def _batch(pipeline: Pipeline, clips: int) -> Case:
    """The networks alone, on so many clips at once."""
    rng, spec = np.random.default_rng(0), pipeline.wanted.spec
    shape = (clips, spec.num_frames, spec.crop, spec.crop)
    pictures = rng.integers(0, 256, (*shape, 3), np.uint8)
    fields = rng.uniform(-1, 1, (*shape, 2)).astype(np.float32)

    def run() -> None:
        for stream, given in ((pipeline.rgb, pictures), (pipeline.flow, fields)):
            if stream is not None:
                stream.run(given)

    return Case(name=f"batch/{clips}/{pipeline.system.name}/infer", run=run)


def _concurrent(
    work: Work,
    openers: Sequence[Opener],
    systems: Sequence[System],
    videos: Sequence[Path],
    stack: ExitStack,
) -> tuple[TimedCase, ...]:
    """So many videos answered side by side, each by one thread: milliseconds until all are."""
    pool = stack.enter_context(ThreadPoolExecutor(len(openers)))
    pipelines = {one.name: [found.open(one) for found in openers] for one in systems}

    def run(own: Sequence[Pipeline], left: Iterator[Path]) -> None:
        asked = [pool.submit(one.answer, next(left), watch=Stopwatch()) for one in own]
        for answer in asked:
            answer.result()

    return _measured(
        work,
        [
            Case(
                name=f"concurrency/{count}/{name}/{TOTAL}",
                run=partial(run, own[:count], cycle(videos)),
            )
            for count in CONCURRENCY
            for name, own in pipelines.items()
        ],
    )


def _measured(work: Work, cases: Sequence[Case]) -> tuple[TimedCase, ...]:
    samples = measure(
        cases,
        rounds=work.cell.rounds,
        warmup_rounds=work.cell.warmup_rounds,
        seed=work.seed,
        before_case=partial(time.sleep, SETTLE_SECONDS),
    )
    return tuple(TimedCase.of(name, ms, seed=work.seed) for name, ms in samples.items())
