"""From nothing to the first answer, and the most memory that it took: one system a process."""

import resource
import time

from motionfit.benchmarks.report_open import opener
from motionfit.benchmarks.report_stages import Stopwatch
from motionfit.benchmarks.report_work import Work
from motionfit.benchmarks.result import Excluded, Result, TimedCase
from motionfit.inference.errors import MotionfitError

COLD_START = "cold-start"
PEAK_BYTES = "peak_memory_bytes"
ANSWERS = 3
KIBIBYTE = 1024


def cold_part(work: Work) -> Result:
    """Start one system: a result of kind ``report-cold``.

    The case ``SYSTEM/cold-start`` goes from the start of the measurement in a process that has
    loaded no engine to the first answer: its files were read before by other processes, so they
    come from the system's cache. The peak is that of the process's memory after some answers.
    """
    options = work.options
    [system] = work.cell.systems
    videos = options.timed_videos()
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE
    return work.finish(
        settings={"system": system.name, PEAK_BYTES: peak},
        cases=(TimedCase.of(f"{system.name}/{COLD_START}", [first_ms], seed=work.seed),),
    )
