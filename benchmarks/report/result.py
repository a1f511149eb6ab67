"""The one file of a report: figures, and every sample they are made of.

What is drawn is drawn from such files alone; other machines get sections of their own.
"""

from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime

from motionfit.benchmarks.machine import Machine
from motionfit.benchmarks.result import Excluded, Result, ResultError, checked, read_json
from motionfit.training.json_record import Estimate, Record
from motionfit.training.whole_files import written_whole

FORMAT: Final = 1
KIND: Final = "report"


class SystemFigures(Record):
    """What a system takes for one video. Intervals are 95 %, over processes and rounds."""

    name: str
    cell: str
    """Where it was measured first."""
    processes: int
    n: int
    """Samples of all processes."""
    total_ms: Estimate | None
    """Median from the first byte to the answer."""
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    refused: dict[str, str]
    """Statistic -> why it is null."""
    cpu_ms: Estimate | None
    """Median time of all threads together."""
    stages_ms: dict[str, float]
    """Mean of each stage: they add up to the mean total but for what is between them."""
    peak_memory_bytes: float | None
    """With the libraries; median over the processes that ran this system alone."""
    cold_start_ms: Estimate | None
    """From the start of a Python process to its first answer."""


class RowFigures(Record):
    """A row of the comparison: another system over the one without flow, in the same rounds."""

    group: str
    """What is changed."""
    without_flow: str
    other: str
    cell: str | None
    """null when it was not measured."""
    without_flow_ms: Estimate | None
    """Median in that cell."""
    other_ms: Estimate | None
    time: Estimate | None
    """How many times as long the other takes."""
    cpu: Estimate | None
    """How many times as much time of processors it takes, which is what is paid for."""
    missing: str | None
    """Why there are no figures."""


class AccuracyFigures(Record):
    """Accuracy of a system on test videos, by the pipeline that is timed."""

    system: str
    clips: int
    """Of a video."""
    cells: tuple[str, ...]
    """Drawings of labels, each with networks of its own."""
    right: dict[str, str]
    """Cell -> a digit for each video of ``videos`` of its split: 1 where the answer was right."""
    top1: Estimate
    """Mean over splits of the mean over seeds and videos; interval over seeds x class-groups."""
    difference: Estimate | None
    """Less the student's of as many clips, video by video, in the cells that both have;
    null for the student itself."""


class Point(Record):
    """One place of a curve."""

    at: float
    ms: Estimate | None
    n: int


class CurveFigures(Record):
    """Time against something else."""

    sweep: str
    """What is changed: ``clips``."""
    system: str
    part: str
    """``total``, ``decode``, ``infer``, ``flow``"""
    points: tuple[Point, ...]
    exponent: Estimate | None
    """k of time ~ size^k; null for fewer than three sizes, and for the length of videos."""


class CaseFigures(Record):
    """A case beside the first of its kind."""

    name: str
    processes: int
    n: int
    ms: Estimate | None
    times: Estimate | None
    """How many times as long as the first it takes; null for that one."""


class LimitFigures(Record):
    """What the machine does at most."""

    gemm_gflop_s: Estimate | None
    """Product of two matrices of 2048 a side, FP32."""
    copy_gb_s: Estimate | None
    """Bytes read and written."""
    flop_per_clip: int
    bytes_per_clip: int
    """Read and written by the layers in FP32 when no cache keeps anything."""


class EngineFigures(Record):
    """The student's network alone in an engine, clips in memory."""

    name: str
    clip_ms: Estimate | None
    gflop_s: float | None
    share: float | None
    """Of the rate of the product of matrices in FP32; null for other precisions."""
    memory_share: float | None
    """Of the rate of the copy, if no cache kept anything, so it may exceed 1; null likewise."""


class ScenarioFigures(Record):
    """How much a system gets done, and how long it takes when asked at random moments."""

    scenario: Literal["offline", "server"]
    system: str
    at: float | None
    """Requests a second that arrive; null where all are there from the start."""
    per_second: Estimate | None
    """Videos answered a second."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    refused: dict[str, str]
    n: int


class ReportResult(Record):
    """A report of one machine."""

    format: Literal[1] = FORMAT
    kind: Literal["report"] = KIND
    command: str
    created_utc: AwareDatetime
    git_revision: str | None
    machine: Machine
    libraries: dict[str, str]
    threads: int
    clips: int
    """Of a video."""
    quick: bool
    """Few processes and samples: a first look, no result."""
    networks: str | None
    """The cell of the experiment whose networks were timed; null: made ones."""
    noisy_parts: int
    """Of ``parts``, those during which a fixed calculation varied by more than 5 %."""
    missing_parts: int
    """Parts that are not measured yet."""
    flow_bytes_a_video: int | None
    """What stored flow takes."""
    weights: dict[str, dict[str, str]]
    """Cell of the experiment -> arm -> SHA-256 of its network."""
    systems: tuple[SystemFigures, ...]
    rows: tuple[RowFigures, ...]
    accuracies: tuple[AccuracyFigures, ...]
    clip_accuracies: tuple[AccuracyFigures, ...]
    """Of the first row's systems for each number of clips, all in the same cells."""
    videos: dict[str, tuple[str, ...]]
    """Split -> the test videos that accuracy was measured on."""
    limits: LimitFigures | None
    engines: tuple[EngineFigures, ...]
    decoders: tuple[CaseFigures, ...]
    curves: tuple[CurveFigures, ...]
    scenarios: tuple[ScenarioFigures, ...]
    excluded: tuple[Excluded, ...]
    """What was not timed, and why."""
    parts: tuple[Result, ...]
    """Everything that was timed, sample by sample; empty while all is but prepared."""

    def system(self, name: str) -> SystemFigures | None:
        """The figures of a system; None when it was not measured."""
        return next((one for one in self.systems if one.name == name), None)

    def row(self, other: str, *, group: str) -> RowFigures:
        """The row of a group that names the other system."""
        return next(one for one in self.rows if (one.other, one.group) == (other, group))

    def accuracy(self, system: str) -> AccuracyFigures | None:
        """The accuracy of a system with the report's number of clips."""
        for one in self.accuracies:
            if (one.system, one.clips) == (system, self.clips):
                return one
        return None


def write_report(report: ReportResult, path: Path) -> None:
    """Write JSON, complete or not at all."""
    with written_whole(path) as unfinished:
        unfinished.write_text(report.document(), encoding="utf-8")


def read_report(path: Path) -> ReportResult:
    """Read and check a report. Raises ResultError."""
    values = read_json(path)
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise ResultError(f"{path} is not a result of  motionfit-bench report")
    return checked(values, ReportResult, path=path)
