"""How time grows: with clips, threads, length and size of the video, width, batch, callers."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from motionfit.benchmarks.engines import SETTLE_SECONDS
from motionfit.benchmarks.report.open import opener, usable_cores
from motionfit.benchmarks.report.pipeline import Opener, Pipeline
from motionfit.benchmarks.report.stages import Stopwatch
from motionfit.benchmarks.report.systems import HALF, SMALL, WIDE, System, student, two_stream
from motionfit.benchmarks.report.timed import TOTAL, Entrant, time_systems
from motionfit.benchmarks.report.variants import variant
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.result import Result, TimedCase
from motionfit.benchmarks.timing import Case, measure

VARIANTS = "variants"
CLIPS = tuple(range(1, 11))
BATCHES = (1, 2, 4, 8, 16, 32)
CONCURRENCY = (1, 2, 4, 8)
SECONDS = (2, 4, 8, 16, 32, 64)
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
    videos = work.options.timed_videos()
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
        case "width":
            found = stack.enter_context(open_one())
            entrants = {
                f"{shape.width:g}/{one.name.partition(':')[0]}": Entrant(
                    pipeline=found.open(one), videos=videos
                )
                for shape in (SMALL, HALF, WIDE)
                for one in (student(shape=shape), two_stream(shape=shape))
            }
        case "length":
            sizes = {f"{one}": (USUAL_HEIGHT, float(one)) for one in SECONDS}
            entrants = _of_variants(stack.enter_context(open_one()), work, sizes)
        case "resolution":
            sizes = {f"{one}": (one, float(USUAL_SECONDS)) for one in HEIGHTS}
            entrants = _of_variants(stack.enter_context(open_one()), work, sizes)
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
        after_round=work.after_round,
    )


def _doubling(most: int) -> list[int]:
    """1, 2, 4 and so on, and the most itself."""
    return sorted({*(1 << power for power in range(most.bit_length()) if 1 << power <= most), most})


def _of_variants(found: Opener, work: Work, sizes: dict[str, tuple[int, float]]) -> Entrants:
    source = max(work.options.timed_videos(), key=lambda path: path.stat().st_size)
    folder = work.folder / VARIANTS
    pipelines = [found.open(one) for one in work.cell.systems]
    return {
        f"{name}/{one.system.name}": Entrant(
            pipeline=one, videos=[variant(folder, source, height=height, seconds=seconds)]
        )
        for name, (height, seconds) in sizes.items()
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

    def run(own: Sequence[Pipeline]) -> None:
        asked = [
            pool.submit(one.answer, videos[place % len(videos)], watch=Stopwatch())
            for place, one in enumerate(own)
        ]
        for answer in asked:
            answer.result()

    return _measured(
        work,
        [
            Case(name=f"concurrency/{count}/{name}/{TOTAL}", run=partial(run, own[:count]))
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
        after_round=work.after_round,
    )
    return tuple(TimedCase.of(name, ms, seed=work.seed) for name, ms in samples.items())
