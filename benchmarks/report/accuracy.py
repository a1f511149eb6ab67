"""Accuracy of a system on test videos, by the very pipeline that is timed."""

from pathlib import Path

from motionfit.benchmarks.report.open import opener
from motionfit.benchmarks.report.pipeline import Pipeline
from motionfit.benchmarks.report.stages import Stopwatch
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.result import Result
from motionfit.inference.errors import DatasetError, VideoError
from motionfit.training.manifest import Row
from motionfit.training.scores import Accuracy, Scored, judge


def accuracy_part(work: Work) -> Result:
    """The accuracy of a cell's system: a result of kind ``report-accuracy``."""
    cell, options = work.cell, work.options
    [trained] = [one for one in options.trained_cells() if one.name == cell.what]
    rows = options.test_rows(trained)
    [system] = cell.systems
    settings = {"networks": trained.name, "system": system.name, "clips": cell.clips}
    with opener(options, work.folder, cell=trained, num_clips=cell.clips) as found:
        pipeline = found.open(system)
        accuracy = _judged(pipeline, rows, dataset=Path(options.data or "").name, work=work)
    return work.finish(settings={**settings}, accuracy=accuracy)


def _judged(pipeline: Pipeline, rows: tuple[Row, ...], *, dataset: str, work: Work) -> Accuracy:
    """All videos are read: systems whose answers differ in number cannot be compared."""
    scored: list[Scored] = []
    for row in rows:
        try:
            pipeline.store_flow(row.path)
            scores = pipeline.answer(row.path, watch=Stopwatch())
        except VideoError as error:
            raise DatasetError(
                f"every test video must be read, and {row.name} cannot be: {error}; take it out of "
                f"{dataset}"
            ) from error
        scored.append(
            Scored(
                video=row.name,
                label=row.label,
                group=row.columns.get("group"),
                frame_rate=None,
                scores=scores,
                answered=True,
            )
        )
    return judge(
        scored,
        dataset=dataset,
        labels=pipeline.labels,
        unreadable=(),
        unknown=None,
        seed=work.options.seed,
    )
