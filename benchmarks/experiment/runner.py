"""Jobs one after another on each core: done once, gone on with after any kind of end.

A job is a process of its own with one core and one thread. What it was told, how long it took and
whether it is done stands in ``JOB.job.json``, what it printed in ``JOB.log``.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from rich.console import Console

from motionfit.benchmarks.experiment.graph import Job
from motionfit.inference.bundle import sha256_of
from motionfit.inference.errors import MotionfitError
from motionfit.training.json_record import Record
from motionfit.training.provenance import git_revision
from motionfit.training.stop import stop_wish
from motionfit.training.whole_files import written_whole

CONFIG = "config.toml"
LOCK = ".lock"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
LOOK_SECONDS = 0.2
# A training ends after its step, or after the compilation of its first one.
STOP_SECONDS = 180.0
LOCK_SECONDS = 240.0
LAST_WORDS = 400

_PR_SET_PDEATHSIG = 1


class ExperimentError(MotionfitError):
    """An experiment's folder does not fit its protocol, or some of its jobs failed."""

    code = "experiment"


class JobRecord(Record):
    """What is known of a job that was started."""

    arguments: tuple[str, ...]
    """Of the product's command, without the program."""
    inputs: dict[str, str]
    """sha256 of what the jobs made that it needs, by their names."""
    revision: str | None
    """Git revision of the code when it was started last."""
    seconds: tuple[float, ...]
    """Of each attempt that ended while the experiment was watching."""
    done: bool


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the jobs."""

    done: tuple[Job, ...]
    failed: tuple[tuple[Job, str], ...]
    """With the end of what they printed"""
    left: tuple[Job, ...]
    """Not done because time was up, somebody stopped the experiment, or what they need failed"""
    stopped: bool
    """Whether Ctrl-C or SIGTERM ended it"""


@dataclass(frozen=True, kw_only=True)
class _Running:
    job: Job
    core: int
    process: "subprocess.Popen[bytes]"
    started: float


@dataclass(kw_only=True)
class _Course:
    """The jobs while they run."""

    jobs: Sequence[Job]
    runs: Path
    programs: Mapping[str, Sequence[str]]
    cores: Sequence[int]
    lock: IO[bytes]
    revision: str | None
    console: Console
    running: list[_Running] = field(default_factory=list)
    done: dict[str, Job] = field(default_factory=dict)
    failed: dict[str, tuple[Job, str]] = field(default_factory=dict)


def run_jobs(
    jobs: Sequence[Job],
    *,
    runs: Path,
    programs: Mapping[str, Sequence[str]],
    at_once: int,
    minutes: float | None,
    console: Console,
) -> Outcome:
    """Run ``jobs``, needed ones first, ``at_once`` at a time, each on a core of its own.

    Jobs that are done are passed over. After ``minutes``, or Ctrl-C or SIGTERM, running jobs are
    told to stop, which they do so that they can go on. Raises ExperimentError when a job was begun
    by another command.
    """
    cores = sorted(os.sched_getaffinity(0))[:at_once]
    if len(cores) < at_once:
        console.print(
            f"only {len(cores)} at once, not {at_once}: no more cores may be used", highlight=False
        )
    end = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    runs.mkdir(parents=True, exist_ok=True)
    with _alone_in(runs, console=console) as lock, stop_wish() as wish:
        course = _Course(
            jobs=jobs,
            runs=runs,
            programs=programs,
            cores=cores,
            lock=lock,
            revision=git_revision(),
            console=console,
        )
        for job in jobs:
            if is_done(job, runs=runs):
                course.done[job.name] = job
        console.print(f"{len(course.done)} of {len(jobs)} jobs were done before", highlight=False)
        try:
            while not wish.made and time.monotonic() < end and _start_and_end(course):
                time.sleep(LOOK_SECONDS)
        finally:
            _stop(course)
    return Outcome(
        done=tuple(course.done.values()),
        failed=tuple(course.failed.values()),
        left=tuple(job for job in jobs if job.name not in course.done | course.failed),
        stopped=wish.made,
    )


def is_done(job: Job, *, runs: Path) -> bool:
    """Whether a job's files are complete. Raises ExperimentError if another command made them."""
    record = read_record(job, runs=runs)
    if record is None:
        return False
    if record.arguments != job.arguments:
        raise ExperimentError(
            f"{runs / job.name} was made by another command than the protocol's: remove it, with "
            f"its .job.json, or use another folder; it was  {' '.join(record.arguments)}  and is "
            f"now  {' '.join(job.arguments)}"
        )
    if record.inputs != _inputs(job, runs=runs):
        raise ExperimentError(
            f"{runs / job.name} was made from other files than there are now in "
            f"{', '.join(needed.name for needed in job.needs)}: remove it, with its .job.json"
        )
    if job.resumed is None or job.output is None:
        return record.done
    # A training that is finished refuses to go on, so its last file counts too.
    return record.done or (runs / job.output).exists()


def _inputs(job: Job, *, runs: Path) -> dict[str, str]:
    """The sha256 of each file that a job needs; of one that is not there, an empty text."""
    files = {one.name: runs / one.output for one in job.needs if one.output is not None}
    return {name: sha256_of(file) if file.exists() else "" for name, file in files.items()}


def read_record(job: Job, *, runs: Path) -> JobRecord | None:
    """What is known of a job; None when it was never started."""
    path = _record_path(job, runs=runs)
    return JobRecord.model_validate_json(path.read_bytes()) if path.exists() else None


def _start_and_end(course: _Course) -> bool:
    """Take note of what ended, start what can be; whether anything runs now."""
    for one in [one for one in course.running if one.process.poll() is not None]:
        _end(one, course)
    used = {one.core for one in course.running}
    for core in course.cores:
        ready = None if core in used else _next(course)
        if ready is not None:
            course.running.append(_start(ready, core=core, course=course))
    return bool(course.running)


def _next(course: _Course) -> Job | None:
    busy = {one.job.name for one in course.running}
    for job in course.jobs:
        if job.name in busy or job.name in course.done or job.name in course.failed:
            continue
        if all(needed.name in course.done for needed in job.needs):
            return job
    return None


def _start(job: Job, *, core: int, course: _Course) -> _Running:
    runs = course.runs
    begun = (runs / job.name / CONFIG).exists()
    if job.resumed is not None and not begun:
        # A training wants an empty folder, and one killed in its first moment left something.
        shutil.rmtree(runs / job.name, ignore_errors=True)
    known = read_record(job, runs=runs)
    seconds = () if known is None else known.seconds
    record = JobRecord(
        arguments=job.arguments,
        inputs=_inputs(job, runs=runs),
        revision=course.revision,
        seconds=seconds,
        done=False,
    )
    _write_record(job, record, runs=runs)
    arguments = job.resumed if begun and job.resumed is not None else job.arguments
    course.console.print(f"{'goes on' if begun else 'starts'}: {job.name}", highlight=False)
    with (runs / f"{job.name}.log").open("ab") as log:
        process = subprocess.Popen(
            [*course.programs[job.program], *arguments],
            cwd=runs,
            env=os.environ | ONE_THREAD,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the experiment, which tells its jobs.
            start_new_session=True,
            # As long as a job lives, no other experiment works in the folder.
            pass_fds=[course.lock.fileno()],
            preexec_fn=_tied_to_parent(core),
        )
    return _Running(job=job, core=core, process=process, started=time.monotonic())


def _end(one: _Running, course: _Course, *, stopped: bool = False) -> None:
    course.running.remove(one)
    job, runs = one.job, course.runs
    seconds = time.monotonic() - one.started
    known = read_record(job, runs=runs)
    assert known is not None  # _start wrote it
    written = job.output is None or (runs / job.output).exists()
    done = one.process.returncode == 0 and written
    spent = (*known.seconds, round(seconds, 1))
    _write_record(job, known.model_copy(update={"seconds": spent, "done": done}), runs=runs)
    if done:
        course.done[job.name] = job
        count = f"{len(course.done)} of {len(course.jobs)}"
    elif stopped:
        count = "stopped, will go on"
    else:
        course.failed[job.name] = (job, _last_words(runs / f"{job.name}.log"))
        count = f"failed with exit code {one.process.returncode}"
    course.console.print(f"{job.name}: {count}, {seconds / 60:.1f} min", highlight=False)


def _stop(course: _Course) -> None:
    for one in course.running:
        one.process.terminate()
    end = time.monotonic() + STOP_SECONDS
    for one in list(course.running):
        try:
            one.process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()
        _end(one, course, stopped=True)


def _last_words(log: Path) -> str:
    return " ".join(log.read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:].split())


def _record_path(job: Job, *, runs: Path) -> Path:
    return runs / f"{job.name}.job.json"


def _write_record(job: Job, record: JobRecord, *, runs: Path) -> None:
    path = _record_path(job, runs=runs)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as unfinished:
        unfinished.write_text(record.model_dump_json() + "\n", encoding="utf-8")


def _tied_to_parent(core: int) -> Callable[[], None]:
    """What a new process does before its program starts: it keeps to ``core``, and is told to stop
    when the experiment is killed.
    """
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def tie() -> None:
        os.sched_setaffinity(0, {core})
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return tie


@contextmanager
def _alone_in(runs: Path, *, console: Console) -> Iterator[IO[bytes]]:
    """Hold the folder's lock, which the jobs of a killed experiment keep until they have ended."""
    with (runs / LOCK).open("wb") as lock:
        end = time.monotonic() + LOCK_SECONDS
        waiting = False
        while not _locked(lock):
            if time.monotonic() > end:
                raise ExperimentError(f"another experiment works in {runs}")
            if not waiting:
                console.print(f"waiting: another experiment, or jobs it left, works in {runs}")
            waiting = True
            time.sleep(LOOK_SECONDS)
        yield lock


def _locked(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
