"""How long until the first answer, and how much memory at most: one system a process."""

import resource
import time
from pathlib import Path

from motionfit.benchmarks.report.open import opener
from motionfit.benchmarks.report.stages import Stopwatch
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.result import Excluded, Figure, Result, TimedCase
from motionfit.inference.errors import MotionfitError

COLD_START = "cold-start"
PEAK = "peak-memory"
ANSWERS = 2
KIBIBYTE = 1024


def cold_part(work: Work) -> Result:
    """Start one system: a result of kind ``report-cold``.

    The case ``SYSTEM/cold-start`` goes from a process that has imported Python's libraries, PyTorch
    too, and loaded no network, to the first answer; files come from the system's cache. The peak is
    what the process takes at most beyond what it took then.
    """
    options = work.options
    [system] = work.cell.systems
    videos = options.timed_videos()
    empty = _memory_bytes()
    begun = time.perf_counter_ns()
    with opener(options, work.folder, cell=options.timed_cell()) as found:
        try:
            pipeline = found.open(system)
        except MotionfitError as error:
            missing = Excluded(name=system.name, reason=str(error))
            return work.finish(settings={}, excluded=(missing,))
        pipeline.store_flow(videos[0])
        pipeline.answer(videos[0], watch=Stopwatch())
        first_ms = (time.perf_counter_ns() - begun) / 1e6
        for number in range(1, 1 + ANSWERS):
            video = videos[number % len(videos)]
            pipeline.store_flow(video)
            pipeline.answer(video, watch=Stopwatch())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE - empty
    return work.finish(
        settings={},
        figures=(Figure(name=f"{system.name}/{PEAK}", unit="bytes", value=peak),),
        cases=(TimedCase.of(f"{system.name}/{COLD_START}", [first_ms], seed=work.seed),),
    )


def _memory_bytes() -> int:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
