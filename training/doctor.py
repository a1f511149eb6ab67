"""The doctor: reads a whole data set and says what is wrong with it, and what to do."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from motionfit.training.duplicates import find_duplicates
from motionfit.training.examine import examine
from motionfit.training.findings import Finding, finding
from motionfit.training.giveaway_check import check_give_aways
from motionfit.training.giveaways import GiveAways, find_give_aways
from motionfit.training.manifest import Dataset, labels_of
from motionfit.training.row_checks import check_classes, check_splits
from motionfit.training.video_checks import check_duplicates, check_reading
from motionfit.training.whole_files import written_whole

SHOWN_ITEMS = 10
_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the doctor found."""

    dataset: str
    videos: int
    classes: int
    absent: int
    """Videos that a Kinetics list names and the folder lacks."""
    reading_seconds: float
    """Wall time of looking at all videos."""
    videos_per_second: float
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes."""
    give_aways: GiveAways | None
    """None when there are too few videos, groups or classes to measure it."""

    def count(self, severity: str) -> int:
        """How many findings are of one severity."""
        return sum(one.severity == severity for one in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The whole report as JSON values."""
        return asdict(self)


def diagnose(
    dataset: Dataset,
    *,
    name: str,
    classes: Sequence[str] | None,
    clip_seconds: float,
    console: Console,
) -> Report:
    """Read all videos of ``dataset``, with a progress bar.

    ``classes`` are those that there should be; None: those that there are.
    """
    rows = dataset.rows
    started = time.perf_counter()
    examined = examine(rows, console=console)
    seconds = time.perf_counter() - started
    give_aways = find_give_aways(examined.readable)
    findings = (
        *check_reading(examined, clip_seconds=clip_seconds),
        *(check_classes(rows, classes=classes) if classes is not None else ()),
        *check_splits(rows),
        *check_duplicates(find_duplicates(examined.readable)),
        *check_give_aways(give_aways, readable=examined.readable),
        *finding(
            "note",
            "absent",
            "listed videos that are not there",
            advice="nothing: videos disappear from YouTube",
            items=dataset.absent,
        ),
    )
    return Report(
        dataset=name,
        videos=len(rows),
        classes=len(labels_of(rows)),
        absent=len(dataset.absent),
        reading_seconds=round(seconds, 3),
        videos_per_second=round(len(rows) / seconds, 1),
        findings=tuple(sorted(findings, key=lambda one: list(_STYLES).index(one.severity))),
        give_aways=give_aways,
    )


def print_report(report: Report, *, console: Console) -> None:
    """For people: each finding with what to do and the first of its items."""
    for one in report.findings:
        console.print(f"{one.severity}: {one.summary}", style=_STYLES[one.severity], markup=False)
        for item in one.items[:SHOWN_ITEMS]:
            console.print(f"    {item}", markup=False)
        if (more := len(one.items) - SHOWN_ITEMS) > 0:
            console.print(f"    and {more} more, which --json lists")
        console.print(f"  what to do: {one.advice}\n", markup=False)
    if report.give_aways is None:
        console.print("too few videos, groups or classes to tell what the files give away")
    console.print(
        f"videos: {report.videos}, in classes: {report.classes}, read in a second: "
        f"{report.videos_per_second:.0f}; errors: {report.count('error')}, "
        f"warnings: {report.count('warning')}, notes: {report.count('note')}",
        markup=False,
    )


def write_report(report: Report, path: Path) -> None:
    """For machines: ``path`` appears complete."""
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n"
    with written_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
