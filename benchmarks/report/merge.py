"""Results of other machines, as sections of a report: reports, and results of engines or a GPU."""

from pathlib import Path

from motionfit.benchmarks.engines_table import KINDS, engine_lines
from motionfit.benchmarks.report.document import Section, section, table
from motionfit.benchmarks.report.names import accuracy_of, engine_of, full_name
from motionfit.benchmarks.report.numbers import interval, ms_of, percent, points, times
from motionfit.benchmarks.report.result import KIND, ReportResult, read_report
from motionfit.benchmarks.report.samples import by_cell
from motionfit.benchmarks.report.statistics import between_runs, within_rounds
from motionfit.benchmarks.report.systems import LIKE_FOR_LIKE, REFERENCE
from motionfit.benchmarks.report.timed import TOTAL
from motionfit.benchmarks.result import Result, ResultError, read_json, read_result
from motionfit.training.json_record import Estimate

SEED = 0

Other = ReportResult | Result


def read_other(path: Path) -> Other:
    """A report, or a result of ``motionfit-bench engines`` or ``gpu``. Raises ResultError."""
    values = read_json(path)
    if isinstance(values, dict) and values.get("kind") == KIND:
        return read_report(path)
    result = read_result(path)
    if result.kind not in KINDS:
        raise ResultError(
            f"{path} is a result of {result.kind}; a report takes in other reports and results of "
            f"{' and '.join(KINDS)}"
        )
    return result


def section_of(other: Other, *, beside: ReportResult) -> Section:
    """What another run says, on this machine or another one."""
    if isinstance(other, ReportResult):
        return _of_report(other, beside=beside)
    return _of_engines(other, beside=beside)


def agreement(first: ReportResult, second: ReportResult) -> Estimate | None:
    """The like-for-like ratio of one run over that of another, with its interval."""
    ratios = [
        within_rounds(*one.pair(f"{LIKE_FOR_LIKE.name}/{TOTAL}", f"{REFERENCE.name}/{TOTAL}"))
        for report in (first, second)
        for one in by_cell(report.parts, kind="systems")[:1]
    ]
    return between_runs(*ratios, seed=SEED) if len(ratios) == 2 else None


def _agreement(first: ReportResult, second: ReportResult) -> str:
    found = agreement(first, second)
    if found is None or first.machine.hardware != second.machine.hardware:
        return ""
    agree = found.low <= 1 <= found.high
    verdict = "the runs agree" if agree else "the runs differ by more than chance"
    return (
        f" How many times as long two streams take like for like, in this report over that one: "
        f"{interval(found, '.3f')}; {verdict}."
    )


def _of_report(other: ReportResult, *, beside: ReportResult) -> Section:
    if not other.systems:
        return _of_prepared(other, beside=beside)
    noisy = f"{other.noisy_parts} of {len(other.parts)} parts ran on a noisy machine."
    quick = " A quick look, no result." if other.quick else ""
    return section(
        _title(other, beside=beside),
        f"{other.created_utc:%Y-%m-%d}, {other.threads} threads, {other.clips} clips of a video. "
        f"{noisy}{quick}{_agreement(beside, other)}",
        table(
            ("system", "median", "the student's", "times as long", "CPU time, times", "accuracy"),
            [
                (
                    full_name(row.other),
                    ms_of(row.other_ms),
                    f"{ms_of(row.without_flow_ms)} ({engine_of(row.without_flow)})",
                    times(row.time),
                    times(row.cpu),
                    _accuracy(other, row.other),
                )
                for row in other.rows
                if row.cell
            ],
        ),
    )


def _of_prepared(other: ReportResult, *, beside: ReportResult) -> Section:
    """Of a report in which nothing is timed."""
    again = other.networks == beside.networks and other.weights != beside.weights
    trained = "the same drawing of labels, trained another time" if again else str(other.networks)
    return section(
        _title(other, beside=beside),
        f"{other.created_utc:%Y-%m-%d}: accuracy alone, {other.clips} clips of a video. The "
        f"networks are those of {trained}.{_alike(other, beside=beside)}",
        table(
            ("system", "right", "more than the student, points"),
            [
                (full_name(one.system), percent(one.top1), points(one.difference))
                for one in other.accuracies
                if one.clips == other.clips
            ],
        ),
    )


def _alike(other: ReportResult, *, beside: ReportResult) -> str:
    """Whether the networks of two reports name the same videos rightly."""
    mine = {(one.system, one.clips): one.right for one in beside.accuracies}
    both = [(one.right, mine.get((one.system, one.clips))) for one in other.accuracies]
    alike = [right == own for right, own in both if own is not None]
    if not alike:
        return ""
    return (
        f" Of {len(alike)} systems that both reports have, {sum(alike)} are right on the very same "
        "videos here and there."
    )


def _accuracy(report: ReportResult, name: str) -> str:
    found = accuracy_of(report, name)
    return found if isinstance(found, str) else percent(found.top1)


def _title(other: Other, *, beside: ReportResult) -> str:
    same = other.machine.hardware == beside.machine.hardware
    return f"{'Another run on' if same else 'On another machine:'} {_machine(other)}"


def _of_engines(result: Result, *, beside: ReportResult) -> Section:
    given = result.settings
    noise = " The machine was noisy." if result.noise.noisy else ""
    return section(
        _title(result, beside=beside),
        f"The network alone, R(2+1)D-18 of width {given['width']}, {given['frames']} frames of "
        f"{given['size']} x {given['size']}: one RGB network. The student runs it once; two "
        f"streams run about two, and compute flow, which was not measured there.{noise}",
        table(
            ("engine", "clips at once", "ms a clip", "times as fast as the first", "of the limit"),
            [
                (
                    line.engine,
                    str(line.batch),
                    interval(line.clip_ms, ".3g"),
                    times(line.speed_up),
                    _share(line.share),
                )
                for line in engine_lines(result)
            ],
        ),
    )


def _share(share: Estimate | None) -> str:
    return interval(share, ".0f", scale=100, unit=" %")


def _machine(other: Other) -> str:
    machine = other.machine
    names = [gpu.name for gpu in machine.gpus] or [machine.cpu]
    return f"{', '.join(names)}, {machine.cores} cores"
