"""The pictures of a report as files."""

from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from motionfit.benchmarks.report import plots
from motionfit.benchmarks.report.document import Picture
from motionfit.benchmarks.report.result import ReportResult
from motionfit.training.whole_files import written_whole

DOTS_PER_INCH = 130
PICTURES: Mapping[str, tuple[str, Callable[[ReportResult], Figure | None]]] = {
    "tradeoff": ("Accuracy against time, cost and memory", plots.tradeoff),
    "waterfall": ("Where the time goes", plots.waterfall),
    "engines": ("Engines and the machine's limit", plots.engines),
    "server": ("Time to the answer against requests a second", plots.server),
    "scaling": ("How time grows", plots.scaling),
    "clips": ("Accuracy against the number of clips", plots.clips),
}

Drawn = Mapping[str, Picture]
"""Name -> a picture that was drawn."""


def draw(report: ReportResult, folder: Path) -> Drawn:
    """Write a PNG for each picture that there are figures for."""
    drawn = {}
    for name, (title, make) in PICTURES.items():
        if (figure := make(report)) is not None:
            file = f"{name}.png"
            with written_whole(folder / file) as unfinished:
                figure.savefig(unfinished, format="png", dpi=DOTS_PER_INCH)
            drawn[name] = Picture(file=file, title=title)
    return drawn
