"""The sentences that a report begins with: what is saved, and what it costs."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from motionfit.benchmarks.report.names import accuracy_of, engine_of, kind_of
from motionfit.benchmarks.report.numbers import interval, ms_of, percent, points
from motionfit.benchmarks.report.result import AccuracyFigures, ReportResult, RowFigures
from motionfit.benchmarks.report.statistics import LEAST_PROCESSES
from motionfit.benchmarks.report.systems import LIKE_FOR_LIKE, REFERENCE, SMALL, two_stream
from motionfit.training.json_record import Estimate

SMALL_WORDS = (
    f"R(2+1)D-18 at {SMALL.width:g} of its width, {SMALL.num_frames} frames of "
    f"{SMALL.crop} x {SMALL.crop}"
)


def headline(report: ReportResult) -> tuple[str, ...]:
    """What the report says, in a few sentences."""
    like = report.row(LIKE_FOR_LIKE.name, group="like for like")
    sentences = (
        _caution(report),
        _videos(report),
        _speed(report, like, opening="Like for like (same backbone, width, engine and precision)"),
        _usual(report),
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
    if not few:
        return None
    return (
        f"{len(few)} systems ran in fewer than {LEAST_PROCESSES} processes: their intervals are "
        "not to be relied on."
    )


def _speed(report: ReportResult, row: RowFigures, *, opening: str) -> str | None:
    if row.time is None:
        return None
    return (
        f"{opening}: {kind_of(row.other)}, in {engine_of(row.other)} take "
        f"{interval(row.time, '.3g', unit=' times')} as long to answer for a video as the student "
        f"in {engine_of(row.without_flow)} ({ms_of(row.other_ms)} against "
        f"{ms_of(row.without_flow_ms)}), and {interval(row.cpu, '.3g', unit=' times')} the "
        "CPU time of all threads."
    )


def _usual(report: ReportResult) -> str | None:
    """The slow flow in the engine that comes with training, beside both students."""
    first, second = (one for one in report.rows if one.group == "usual set-up")
    said = _speed(
        report, first, opening="With OpenCV's default TV-L1 in PyTorch (flow and engine differ)"
    )
    if said is None or second.time is None:
        return said
    return (
        f"{said} Beside the student in {engine_of(second.without_flow)} it is "
        f"{interval(second.time, '.3g', unit=' times')}."
    )


def _videos(report: ReportResult) -> str | None:
    """How many videos were timed, of what kind, and by what networks."""
    timed = [part for part in report.parts if part.kind == "report-systems"]
    found = {video.sha256: video for part in timed for video in part.videos}
    if not found:
        return None
    own = list(found.values())
    [(size, _)] = Counter(f"{one.width} x {one.height}" for one in own).most_common(1)
    seconds = median(one.duration_seconds for one in own)
    videos = (
        f"one video of {size} pixels, {seconds:.1f} s long"
        if len(own) == 1
        else f"{len(own)} videos, most of {size} pixels, of a median length of {seconds:.1f} s"
    )
    return (
        f"Timed on {videos}: {report.clips} clips of each, by small networks ({SMALL_WORDS}), on "
        f"{report.machine.cpu} with {report.threads} threads. Brackets hold 95 % intervals."
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
        f"On one of these videos enlarged to {own.at:.0f} lines, where decoding is more of the "
        f"work, two streams take {other.ms.value / own.ms.value:.3g} times as long: medians of "
        f"{interval(other.ms, '.0f')} ms against {interval(own.ms, '.0f')} ms. Flow is computed "
        "on smaller pictures, whatever the size of the video."
    )


def _stored(report: ReportResult) -> str | None:
    row = report.row(two_stream("stored").name, group="flow")
    if row.time is None:
        return None
    return (
        "With flow that was computed before and is only read, from the system's cache, two "
        "streams take "
        f"{interval(row.time, '.3g', unit=' times')} as long as the student."
    )


def _accuracy(report: ReportResult) -> str:
    own = accuracy_of(report, REFERENCE.name)
    other = accuracy_of(report, LIKE_FOR_LIKE.name)
    if isinstance(own, str):
        return f"Nothing is known of accuracy: {own}."
    said = f"The student classifies {percent(own.top1)} of the test videos correctly"
    if isinstance(other, str) or other.difference is None:
        return f"{said}; the accuracy of two streams is not measured."
    compared = (
        f"{said}, two streams {percent(other.top1)}{fewer_cells(report, other)}: "
        f"{points(other.difference)} points"
    )
    shared = [cell for cell in other.cells if cell in own.cells]
    if _once(shared):
        return (
            f"{compared}. Each network was trained once, so this ranks no methods: trained with "
            "other labelled videos they move by several points."
        )
    return (
        f"{compared}; {_verdict(other.difference)} ({len(shared)} trainings of each, every one "
        "with other labelled videos)."
    )


def trained_once(report: ReportResult) -> bool:
    """Whether accuracy is of one drawing of labels only, on each split."""
    own = accuracy_of(report, REFERENCE.name)
    return isinstance(own, str) or _once(own.cells)


def fewer_cells(report: ReportResult, accuracy: AccuracyFigures) -> str:
    """Says so where an accuracy is of fewer trainings than the student's beside it."""
    own = accuracy_of(report, REFERENCE.name)
    if isinstance(own, str) or own.cells == accuracy.cells:
        return ""
    return f", of {len(accuracy.cells)} of the student's {len(own.cells)} trainings"


def _once(cells: Sequence[str]) -> bool:
    splits = [cell.partition("-")[0] for cell in cells]
    return len(splits) == len(set(splits))


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
        "calculation varied by more than 5 %. Believe the ratios rather than the milliseconds; "
        "intervals may be too narrow as well."
    )
