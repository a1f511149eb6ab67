"""Core time of the experiment's jobs, from their records: what it took, and what is left."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from motionfit.benchmarks.experiment.graph import Job, in_order
from motionfit.benchmarks.experiment.protocol import Entry
from motionfit.benchmarks.experiment.result import ArmSpent, Spent
from motionfit.benchmarks.experiment.runner import is_done, read_record
from motionfit.training.resampling import rounded

CLIPS_SEEN = "--clips-seen"


@dataclass(frozen=True, kw_only=True)
class StageLeft:
    """Jobs of one kind that are not done."""

    stage: str
    jobs: int
    minutes: float | None
    """Of one core, all of them together; None: nothing of the kind was done yet"""


def spent_by_stage(jobs: Iterable[Job], *, runs: Path) -> tuple[Spent, ...]:
    """Core hours of each kind of job that was begun."""
    found: dict[str, list[float]] = {}
    for job in jobs:
        if record := read_record(job, runs=runs):
            found.setdefault(job.stage, []).append(sum(record.seconds))
    return tuple(
        Spent(stage=stage, jobs=len(own), hours=rounded(sum(own) / 3600))
        for stage, own in found.items()
    )


def spent_by_arm(done: Mapping[Entry, Sequence[Job]], *, runs: Path) -> tuple[ArmSpent, ...]:
    """Core minutes of a cell of each arm; ``done`` are its cells and their jobs of answers."""
    found: dict[str, list[float]] = {}
    for entry, answers in done.items():
        own = [job for job in in_order(answers) if job.name.startswith(f"{entry.cell.name}/")]
        name = f"labels{entry.cell.labels}/{entry.arm}"
        found.setdefault(name, []).append(sum(_seconds(job, runs=runs) for job in own))
    return tuple(
        ArmSpent(name=name, cells=len(own), minutes=rounded(sum(own) / len(own) / 60))
        for name, own in found.items()
    )


def left(jobs: Sequence[Job], *, alike: Iterable[Job], runs: Path) -> tuple[StageLeft, ...]:
    """What of ``jobs`` is not done, and how long it takes if it takes as long as ``alike`` did."""
    rates = _rates(alike, runs=runs)
    found: dict[str, list[float | None]] = {}
    for job in jobs:
        if not is_done(job, runs=runs):
            rate = rates.get(_kind(job))
            minutes = None if rate is None else _minutes_left(job, rate=rate, runs=runs)
            found.setdefault(job.stage, []).append(minutes)
    return tuple(
        StageLeft(stage=stage, jobs=len(own), minutes=_sum(own)) for stage, own in found.items()
    )


def _rates(jobs: Iterable[Job], *, runs: Path) -> Mapping[str, float]:
    """Seconds of each kind of job that is done: of a training for a clip, of others for a job."""
    totals: dict[str, tuple[float, int]] = {}
    for job in jobs:
        seconds = _seconds(job, runs=runs)
        if seconds and is_done(job, runs=runs):
            before, size = totals.get(_kind(job), (0.0, 0))
            totals[_kind(job)] = before + seconds, size + _size(job)
    return {kind: seconds / size for kind, (seconds, size) in totals.items()}


def _kind(job: Job) -> str:
    """What takes as long, clip by clip or job by job."""
    flow = " flow" if "--flow" in job.arguments else ""
    return (job.arguments[0] if job.program == "train" else job.program) + flow


def _size(job: Job) -> int:
    if CLIPS_SEEN not in job.arguments:
        return 1
    return int(job.arguments[job.arguments.index(CLIPS_SEEN) + 1])


def _minutes_left(job: Job, *, rate: float, runs: Path) -> float:
    """Of a training that was begun, less what it has taken so far, for it goes on."""
    spent = _seconds(job, runs=runs) if job.resumed else 0.0
    return max(0.0, rate * _size(job) - spent) / 60


def _seconds(job: Job, *, runs: Path) -> float:
    record = read_record(job, runs=runs)
    return sum(record.seconds) if record else 0.0


def _sum(minutes: Sequence[float | None]) -> float | None:
    known = [one for one in minutes if one is not None]
    return sum(known) if len(known) == len(minutes) else None
