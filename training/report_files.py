"""A report as a folder: report.json, report.md, confusion.png."""

from pathlib import Path

import numpy as np

from motionfit.training.confusion import draw_confusion
from motionfit.training.report import Report
from motionfit.training.report_text import looks_of, markdown
from motionfit.training.whole_folders import folder_written_whole

JSON, TEXT, PICTURE = "report.json", "report.md", "confusion.png"


def write_report(report: Report, folder: Path) -> None:
    """Make ``folder``, new or empty, hold the report: complete or not at all."""
    with folder_written_whole(folder) as unfinished:
        (unfinished / JSON).write_text(report.document(), encoding="utf-8")
        (unfinished / TEXT).write_text(markdown(report, picture=PICTURE), encoding="utf-8")
        draw_confusion(
            np.array(report.confusion.counts),
            unfinished / PICTURE,
            labels=report.confusion.labels,
            title=f"{report.model.name} on {report.data.name}: "
            f"top-1 {report.accuracy.top1.value:.1%}, {looks_of(report)}",
        )
