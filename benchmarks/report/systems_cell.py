"""A part of systems that take turns over real videos."""

from motionfit.benchmarks.report.open import TOLERANCE, open_all, opener
from motionfit.benchmarks.report.timed import Entrant, time_systems
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.result import Figure, Result

FLOW_BYTES = "stored-flow/video"


def systems_part(work: Work) -> Result:
    """Time the systems of a cell: a result of kind ``report-systems``."""
    cell, options = work.cell, work.options
    videos = work.videos
    with opener(options, work.folder, cell=options.timed_cell()) as found:
        pipelines, excluded = open_all(found, cell.systems, video=videos[0])
        stored = {sum(map(one.store_flow, videos)) / len(videos) for one in pipelines} - {0}
        cases = time_systems(
            {one.system.name: Entrant(pipeline=one, videos=videos) for one in pipelines},
            rounds=cell.rounds,
            warmup_rounds=cell.warmup_rounds,
            seed=work.seed,
        )
    return work.finish(
        settings={"tolerance": TOLERANCE},
        figures=tuple(
            Figure(name=FLOW_BYTES, unit="bytes", value=size)
            for size in sorted(set(stored))
            if size
        ),
        videos=videos,
        cases=cases,
        excluded=excluded,
    )
