"""The files that timed systems read: networks in every engine, stored flow, videos of all sizes."""

from motionfit.benchmarks.report.open import open_all, opener
from motionfit.benchmarks.report.scaling import write_variants
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.result import Result


def files_part(work: Work) -> Result:
    """Write what the cell's systems need: a result of kind ``report-files``, without figures.

    Systems whose networks are made or compiled when they are first asked are asked once.
    """
    options = work.options
    videos = options.timed_videos()
    with opener(options, work.folder, cell=options.timed_cell()) as found:
        pipelines, excluded = open_all(found, work.cell.systems, video=videos[0])
        for one in pipelines:
            for video in videos:
                one.store_flow(video)
    if options.whole:
        write_variants(work)
    return work.finish(settings={}, excluded=excluded)
