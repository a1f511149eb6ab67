"""The sentences that a report begins with: what is saved, and what it costs."""

from collections import Counter
from statistics import median

from motionfit.benchmarks.report.names import accuracy_of, engine_of, kind_of
from motionfit.benchmarks.report.numbers import interval, ms_of, percent, points
from motionfit.benchmarks.report.result import ReportResult, RowFigures
from motionfit.benchmarks.report.statistics import LEAST_PROCESSES
from motionfit.benchmarks.report.systems import LIKE_FOR_LIKE, REFERENCE, USUAL, two_stream
from motionfit.training.json_record import Estimate


def headline(report: ReportResult) -> tuple[str, ...]:
    """What the report says, in a few sentences."""
    like = report.row(LIKE_FOR_LIKE.name, group="like for like")
    usual = report.row(USUAL.name, group="usual set-up")
    sentences = (
        _caution(report),
        _videos(report),
        _speed(report, like, opening="Like for like (same backbone, width, engine and precision)"),
        _speed(report, usual, opening="With default TV-L1 in PyTorch eager"),
        _large(report),
        _stored(report),
        _accuracy(report),
        _noise(report),
    )
    return tuple(sentence for sentence in sentences if sentence)


def _caution(report: ReportResult) -> str | None:
    if report.quick:
        return "A quick look with few samples: it shows what is measured and is no result."
    if report.missing_parts:
        return f"Not complete: {report.missing_parts} parts are still to be measured."
    few = [one for one in report.systems if one.processes < LEAST_PROCESSES]
    return f"{len(few)} systems ran in fewer than {LEAST_PROCESSES} processes." if few else None


def _speed(report: ReportResult, row: RowFigures, *, opening: str) -> str | None:
    if row.time is None:
        return None
    return (
        f"{opening}: {kind_of(row.other)}, in {engine_of(row.other)} take "
        f"{interval(row.time, '.3g', unit=' times')} as long to answer for a video as the student "
        f"in {engine_of(row.without_flow)} ({ms_of(row.other_ms)} against "
        f"{ms_of(row.without_flow_ms)}), and {interval(row.cpu, '.3g', unit=' times')} the "
        "processor time."
    )


def _videos(report: ReportResult) -> str | None:
    """How many videos were timed, and of what kind."""
    timed = [part for part in report.parts if part.kind == "report-systems"]
    found = {video.sha256: video for part in timed for video in part.videos}
    if not found:
        return None
    own = list(found.values())
    [(size, _)] = Counter(f"{one.width} x {one.height}" for one in own).most_common(1)
    seconds = median(one.duration_seconds for one in own)
    if len(own) == 1:
        return f"Timed on one video of {size} pixels, {seconds:.1f} s long."
    return (
        f"Timed on {len(own)} videos; the most frequent size is {size} pixels, the median length "
        f"{seconds:.1f} s."
    )


def _large(report: ReportResult) -> str | None:
    """The first row again, on the largest pictures of the sweep: decoding is a larger share."""
    last = {
        one.system: one.points[-1]
        for one in report.curves
        if (one.sweep, one.part) == ("resolution", "total")
    }
    own, other = last.get(REFERENCE.name), last.get(LIKE_FOR_LIKE.name)
    if own is None or other is None or own.ms is None or other.ms is None:
        return None
    return (
        f"On pictures of {own.at:.0f} lines, where decoding is more of the work, two streams take "
        f"{other.ms.value / own.ms.value:.3g} times as long ({ms_of(other.ms)} against "
        f"{ms_of(own.ms)}, medians)."
    )


def _stored(report: ReportResult) -> str | None:
    row = report.row(two_stream("stored").name, group="flow")
    if row.time is None:
        return None
    return (
        "With flow that was computed before and is only read, two streams take "
        f"{interval(row.time, '.3g', unit=' times')} as long as the student."
    )


def _accuracy(report: ReportResult) -> str:
    own = accuracy_of(report, REFERENCE.name)
    other = accuracy_of(report, LIKE_FOR_LIKE.name)
    if isinstance(own, str):
        return f"Nothing is known of accuracy: {own}."
    said = f"The student names {percent(own.top1)} of the test videos rightly"
    if isinstance(other, str) or other.difference is None:
        return f"{said}; the accuracy of two streams is not measured."
    return (
        f"{said}, two streams {percent(other.top1)}: {_verdict(other.difference)} "
        f"({points(other.difference)} points, {len(other.cells)} drawings of labels)."
    )


def _verdict(difference: Estimate) -> str:
    if difference.low > 0:
        return "two streams are right more often"
    if difference.high < 0:
        return "the student is right more often"
    return "the two cannot be told apart"


def _noise(report: ReportResult) -> str | None:
    if not report.noisy_parts:
        return None
    return (
        f"The machine was noisy: in {report.noisy_parts} of {len(report.parts)} parts a fixed "
        "calculation varied by more than 5 %. Believe the ratios rather than the milliseconds."
    )
