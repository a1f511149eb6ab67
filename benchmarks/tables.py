"""Results as tables on a terminal."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from motionfit.benchmarks.compare import Comparison
from motionfit.benchmarks.result import Result, ResultError, Summary
from motionfit.benchmarks.rules import Verdict
from motionfit.training.json_record import Estimate
from motionfit.training.scores import Accuracy
from motionfit.training.tables import class_lines, frame_rate_lines, overall_lines, table_of


def timing_table(result: Result) -> Table:
    """Every case with its median, interval and percentiles, in milliseconds."""
    table = _table("case", "n", "median ms", "95 % interval", "p90", "p95", "p99")
    labels = _case_labels(table, [case.name for case in result.cases])
    for case, label in zip(result.cases, labels, strict=True):
        summary = case.summary
        median = summary.median
        table.add_row(
            label,
            str(summary.n),
            _number(median.value if median else None),
            f"{median.low:.3g} - {median.high:.3g}" if median else "",
            *(_number(value) for value in (summary.p90, summary.p95, summary.p99)),
        )
    return table


def timing_notes(result: Result) -> list[str]:
    """Ratios of rivals, what was refused and why, what was not timed, and noise."""
    notes = [
        f"{ratio.numerator} takes {ratio.ratio.value:.2f} x ({ratio.ratio.low:.2f} - "
        f"{ratio.ratio.high:.2f}) the time of {ratio.denominator}, round by round"
        for ratio in result.ratios
        if ratio.ratio
    ]
    notes += _refusals([case.summary for case in result.cases])
    notes += [f"not timed: {one.name}: {one.reason}" for one in result.excluded]
    return notes + noise_notes(result)


def noise_notes(result: Result) -> list[str]:
    """A warning when the machine was noisy."""
    noise = result.noise
    if not noise.noisy:
        return []
    return [
        "the machine is noisy: a fixed calculation varied by "
        f"{noise.variation_before:.0%} before and {noise.variation_after:.0%} after, and its "
        f"median moved by {noise.drift:+.0%}; believe ratios rather than milliseconds"
    ]


def estimate_cells(estimate: Estimate | None, form: str) -> tuple[str, str]:
    """A figure and its interval, in a format for numbers; a dash when there is none."""
    if estimate is None:
        return "-", ""
    return format(estimate.value, form), f"{estimate.low:{form}} - {estimate.high:{form}}"


def accuracy_table(result: Result) -> Table:
    """The figures of a whole data set, then of its frame rates, then of its classes."""
    accuracy = _accuracy(result)
    return table_of([overall_lines(accuracy), frame_rate_lines(accuracy), class_lines(accuracy)])


def accuracy_notes(result: Result) -> list[str]:
    """How the intervals were made, and every unreadable video by name."""
    accuracy = _accuracy(result)
    notes = [f"intervals: {accuracy.clusters} clusters (one per {accuracy.resampled_by}) resampled"]
    unreadable = accuracy.unreadable + (accuracy.unknown.unreadable if accuracy.unknown else ())
    if unreadable:
        notes.append(f"could not be read, and count nowhere: {len(unreadable)}")
        notes += [f"  {one.video}: {one.reason}" for one in unreadable]
    return notes


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Times with their ratios, accuracy with its differences; whichever there is."""
    times = _table("case", "first ms", "second ms", "second / first", "95 % interval")
    labels = _case_labels(times, [time.name for time in comparison.times])
    for time, label in zip(comparison.times, labels, strict=True):
        ratio = time.ratio
        times.add_row(
            label,
            _number(time.first_ms),
            _number(time.second_ms),
            *((f"{ratio.value:.3f}", f"{ratio.low:.3f} - {ratio.high:.3f}") if ratio else ("", "")),
        )
    accuracy = _table("figure", "first", "second", "second - first", "95 % interval")
    for change in comparison.accuracy:
        interval = change.difference
        accuracy.add_row(
            change.name,
            f"{change.first:.4f}",
            f"{change.second:.4f}",
            f"{change.second - change.first:+.4f}",
            f"{interval.low:+.4f} to {interval.high:+.4f}" if interval else "",
        )
    return [table for table in (times, accuracy) if table.row_count]


def verdict_line(verdict: Verdict) -> str:
    """One rule for one case, in a line."""
    outcome = "broken" if verdict.broken else "kept"
    return f"{outcome}: {verdict.rule.text}  {verdict.name}: {verdict.reason}"


def _accuracy(result: Result) -> Accuracy:
    if result.accuracy is None:
        raise ResultError(f"a result of kind {result.kind} says nothing of accuracy")
    return result.accuracy


def _case_labels(table: Table, names: Sequence[str]) -> Iterator[str]:
    """What a case's row is called. A first part that is new gets a row of its own before it."""
    last = None
    for name in names:
        first, _, rest = name.partition("/")
        if rest and first != last:
            table.add_row(first)
        last = first
        yield f"  {rest}" if rest else first


def _refusals(summaries: Sequence[Summary]) -> list[str]:
    reasons = dict.fromkeys(
        f"{name}: {reason}" for summary in summaries for name, reason in summary.refused.items()
    )
    return list(reasons)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"
