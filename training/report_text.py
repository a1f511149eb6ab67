"""A report for people: tables and sentences, for a terminal or as Markdown."""

import numpy as np
from rich.table import Table

from motionfit.training.cadence import Cadence, verdict
from motionfit.training.markdown import markdown_table, sentences
from motionfit.training.report import Confusion, Report
from motionfit.training.tables import (
    Line,
    class_lines,
    frame_rate_lines,
    overall_lines,
    share,
    table_of,
)

# A terminal shows so many classes; of more, the worst ones say most.
MOST_CLASSES = 25
MOST_MISTAKES = 8


def table(report: Report) -> Table:
    """The figures for a terminal."""
    classes = class_lines(report.accuracy)
    if (better := len(classes) - MOST_CLASSES) > 0:
        top1 = {one.label: one.top1 for one in report.accuracy.per_class}
        classes = sorted(classes, key=lambda line: top1[line[0]])[:MOST_CLASSES]
        classes.append((f"and {better} classes that are no worse", "", "", ""))
    return table_of([*_sections(report), classes])


def notes(report: Report) -> list[str]:
    """What a person must know besides the figures, a sentence each."""
    accuracy = report.accuracy
    found = [
        f"{accuracy.videos} videos, {looks_of(report)}; intervals: {accuracy.clusters} clusters "
        f"(one per {accuracy.resampled_by}) resampled",
        f"score temperature {report.model.clip['temperature']}, not fitted here: "
        f"{report.model.calibrated_on}",
    ]
    if report.cadence is not None:
        found.append(verdict(report.cadence))
    found += [f"warning: {warning}" for warning in report.warnings]
    found += [f"left out: {one.video}: {one.reason}" for one in accuracy.unreadable]
    return found


def markdown(report: Report, *, picture: str) -> str:
    """The report as a text that shows the confusion matrix of the file ``picture``."""
    model, data, clip = report.model, report.data, report.model.clip
    chosen = f" ({'; '.join(data.where)})" if data.where else ""
    parts = [
        f"# {model.name} on {data.name}{chosen}",
        sentences(notes(report)),
        "\n\n".join(markdown_table(lines) for lines in _sections(report) if lines),
        f"![Confusion matrix: true classes down, answers across]({picture})",
        "Most frequent mistakes: " + "; ".join(_mistakes(report.confusion)) + ".",
        markdown_table(class_lines(report.accuracy)),
        f"Model {model.sha256[:12]}, clips of {clip['num_frames']} frames at "
        f"{clip['frame_rate']:g} a second, {clip['crop']} x {clip['crop']} of short side "
        f"{clip['short_side']}; videos {data.sha256[:12]}; "
        f"{report.created_utc:%Y-%m-%d}, on {report.device}:",
        f"    {report.command}",
    ]
    return "\n\n".join(parts) + "\n"


def _sections(report: Report) -> list[list[Line]]:
    n = str(report.accuracy.videos)
    overall = overall_lines(report.accuracy)
    overall.insert(2, ("top-1 of single views", n, *share(report.view_top1)))
    by_clips: list[Line] = [
        (f"top-1 with {one.clips} clip{'s' * (one.clips > 1)}", n, *share(one.top1))
        for one in report.per_clip_count
    ]
    cadence = _cadence_lines(report.cadence) if report.cadence else []
    return [overall, by_clips, frame_rate_lines(report.accuracy), cadence]


def _cadence_lines(cadence: Cadence) -> list[Line]:
    lines: list[Line] = []
    for one in cadence.changes:
        n, change = str(one.videos), one.difference
        name = f"{one.from_rate:g} fps" if one.from_rate else "unknown rate"
        title = f"top-1 from {name} re-timed to {one.to_rate:g}"
        interval = f"{change.low:+.1%} to {change.high:+.1%}"
        lines.append((title, n, *share(one.retimed_top1)))
        lines.append(("  change by re-timing", n, f"{change.value:+.1%}", interval))
    return lines


def _mistakes(confusion: Confusion) -> list[str]:
    counts = np.array(confusion.counts)
    np.fill_diagonal(counts, 0)
    most = np.argsort(-counts, axis=None, kind="stable")[:MOST_MISTAKES]
    places = [divmod(int(place), len(counts)) for place in most]
    return [
        f"{confusion.labels[true]} taken for {confusion.labels[best]} ({counts[true, best]})"
        for true, best in places
        if counts[true, best]
    ] or ["none"]


def looks_of(report: Report) -> str:
    """How often each video was looked at."""
    clips, crops = report.settings.clips, report.settings.crops
    return f"{clips} clip{'s' * (clips > 1)} x {crops} crop{'s' * (crops > 1)}"
