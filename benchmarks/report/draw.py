"""Drawing: one HTML file, Markdown, and PNGs, from JSON files alone."""

from collections.abc import Sequence
from pathlib import Path

from motionfit.benchmarks.report.document import markdown
from motionfit.benchmarks.report.html import html
from motionfit.benchmarks.report.merge import Other, section_of
from motionfit.benchmarks.report.pictures import draw
from motionfit.benchmarks.report.result import ReportResult
from motionfit.benchmarks.report.text import document
from motionfit.benchmarks.result import ResultError
from motionfit.training.whole_files import written_whole

HTML, MARKDOWN = "report.html", "report.md"


def draw_report(report: ReportResult, others: Sequence[Other], folder: Path) -> None:
    """Write report.html, report.md and the pictures into ``folder``, which is made.

    Raises ResultError when nothing of the report is timed.
    """
    if not report.systems:
        raise ResultError(
            "nothing is timed in this report yet: the command that made it does the rest without "
            "--prepare. Until then another report can show its accuracies, as --with"
        )
    folder.mkdir(parents=True, exist_ok=True)
    drawn = draw(report, folder)
    sections = tuple(section_of(one, beside=report) for one in others)
    written = document(report, drawn=drawn, others=sections)
    texts = {HTML: html(written, folder=folder), MARKDOWN: markdown(written)}
    for name, text in texts.items():
        with written_whole(folder / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
