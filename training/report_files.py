"""A report as a folder: report.json, report.md, confusion.png."""

import shutil
from pathlib import Path
from uuid import uuid4

import numpy as np

from motionfit.training.confusion import draw_confusion
from motionfit.training.json_record import laid_out
from motionfit.training.report import Report
from motionfit.training.report_text import looks_of, markdown

JSON, TEXT, PICTURE = "report.json", "report.md", "confusion.png"


def write_report(report: Report, folder: Path) -> None:
    """Make ``folder``, new or empty, hold the report: complete or not at all."""
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{uuid4().hex}")
    unfinished.mkdir()
    try:
        text = laid_out(report.model_dump(mode="json"))
        (unfinished / JSON).write_text(text + "\n", encoding="utf-8")
        (unfinished / TEXT).write_text(markdown(report, picture=PICTURE), encoding="utf-8")
        draw_confusion(
            np.array(report.confusion.counts),
            unfinished / PICTURE,
            labels=report.confusion.labels,
            title=f"{report.model.name} on {report.data.name}: "
            f"top-1 {report.accuracy.top1.value:.1%}, {looks_of(report)}",
        )
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
