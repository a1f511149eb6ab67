"""Every job is done once, whatever ends the experiment; real processes with a fake training."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from rich.console import Console

from motionfit.benchmarks.experiment.runner import run_jobs
from tests.benchmarks import experiment_driver
from tests.benchmarks.experiment_driver import experiment
from tests.conftest import running

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PRIMARY = "split2-seed0-labels3/*same-clips", "split2-seed0-labels3/motionfit"


def start(runs: Path, *patterns: str, minutes: float = 5) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", experiment_driver.__name__, str(runs), str(minutes), *patterns],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(runs: Path, *patterns: str, minutes: float = 5) -> str:
    process = start(runs, *patterns, minutes=minutes)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    return printed


def made(runs: Path) -> dict[str, str]:
    """What each job left, but for its records, its log, and how often it was begun."""
    return {
        str(path.relative_to(runs)): path.read_text()
        for path in sorted(runs.rglob("*"))
        if path.is_file()
        and path.suffix not in {".log", ".txt"}
        and not path.name.startswith(".")  # the lock, and what SIGKILL left half written
        and not path.name.endswith(".job.json")
        and path.name != "results.json"
    }


def results(runs: Path) -> dict[str, object]:
    read: dict[str, object] = json.loads((runs / "results.json").read_text())
    changing = ("created_utc", "spent", "spent_by_arm", "machine", "git_revision")
    return {name: value for name, value in read.items() if name not in changing}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("undisturbed") / "runs"
    finish(runs, "*")
    return runs


def test_every_job_is_done_once_on_one_core_with_one_thread(undisturbed: Path) -> None:
    jobs = experiment(undisturbed).jobs(["*"])
    finished = Counter((undisturbed / "finished.txt").read_text().split())
    assert set(finished) == {
        str(job.output) if job.program == "watch" else job.name for job in jobs
    }
    assert set(finished.values()) == {1}
    conditions = {path.read_text() for path in undisturbed.rglob("conditions")}
    assert conditions == {"1 1"}


def test_a_killed_experiment_gives_the_same_results(undisturbed: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    killed = 0
    while killed < 4:
        process = start(runs, "*")
        time.sleep(1.2 + 0.57 * killed)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate(timeout=60)
        if process.returncode == 0:
            break
    assert killed
    finish(runs, "*")
    assert made(runs) == made(undisturbed)
    assert results(runs) == results(undisturbed)
    finished = Counter((runs / "finished.txt").read_text().split())
    assert {finished[str(path.parent.relative_to(runs))] for path in runs.rglob("count")} <= {0, 1}


def test_an_experiment_that_is_done_starts_nothing(undisturbed: Path) -> None:
    before = (undisturbed / "finished.txt").read_text()
    printed = finish(undisturbed, "*")
    assert "starts" not in printed
    assert "goes on" not in printed
    assert (undisturbed / "finished.txt").read_text() == before


def test_when_time_is_up_jobs_stop_and_are_done_next_time(tmp_path: Path) -> None:
    (tmp_path / "pace").write_text("100")
    first = finish(tmp_path, *PRIMARY, minutes=0.1)
    assert "will go on" in first
    assert "left: 0" not in first
    (tmp_path / "pace").unlink()
    assert "left: 0" in finish(tmp_path, *PRIMARY)


def test_more_at_once_than_there_are_cores_are_said_to_be_fewer(tmp_path: Path) -> None:
    here = experiment(tmp_path)
    printed = io.StringIO()
    cores = len(os.sched_getaffinity(0))
    for at_once in (cores, cores + 6):
        run_jobs(
            here.jobs(PRIMARY),
            runs=tmp_path,
            programs={},
            at_once=at_once,
            minutes=0,
            console=Console(file=printed),
        )
    assert printed.getvalue().count(f"only {cores} at once, not {cores + 6}: no more cores") == 1


def test_a_stopped_training_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "pace").write_text("2")
    process = start(tmp_path, *PRIMARY)
    count = wait_for(lambda: next(tmp_path.rglob("count"), None))
    process.terminate()
    printed, _ = process.communicate(timeout=60)
    assert "will go on" in printed
    assert 0 < int(count.read_text()) < 5
    (tmp_path / "pace").unlink()
    assert f"goes on: {count.parent.relative_to(tmp_path)}" in finish(tmp_path, *PRIMARY)


def test_a_failed_job_holds_up_only_what_needs_it_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "failing").write_text("student")
    printed = finish(tmp_path, *PRIMARY)
    assert "failed: ['split2-seed0-labels3/student-motionfit']" in printed
    assert "left: 2" in printed  # the fine-tuning and its answers
    assert (tmp_path / "split2-seed0-labels3" / "random-same-clips.test.json").exists()
    (tmp_path / "failing").unlink()
    assert "left: 0" in finish(tmp_path, *PRIMARY)


def test_a_job_begun_by_another_command_is_not_taken_for_the_protocol_s(tmp_path: Path) -> None:
    finish(tmp_path, *PRIMARY)
    record = tmp_path / "split2-seed0-labels3" / "teacher-flow.job.json"
    record.write_text(record.read_text().replace("--loss-clips", "--other"))
    process = start(tmp_path, *PRIMARY)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "another command" in printed


def test_jobs_end_with_an_experiment_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "pace").write_text("100")
    process = start(tmp_path, *PRIMARY)
    jobs = wait_for(lambda: children(process.pid))
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: not any(map(running, jobs)))


def wait_for(what: Callable[[], T | None]) -> T:
    """What ``what`` gives, once it gives something."""
    deadline = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def children(pid: int) -> set[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return {int(child) for child in path.read_text().split()} if path.exists() else set()


def test_what_was_made_from_files_that_have_changed_is_not_taken_for_done(tmp_path: Path) -> None:
    finish(tmp_path, *PRIMARY)
    teacher = tmp_path / "split2-seed0-labels3" / "teacher-flow" / "checkpoint.safetensors"
    teacher.write_text("another network")
    process = start(tmp_path, *PRIMARY)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "labels-flow was made from other files" in printed
