"""The command does what it is asked for, writes what is done, and names what failed."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from motionfit import training
from motionfit.benchmarks.cli import app
from motionfit.benchmarks.experiment import course
from motionfit.benchmarks.experiment.command import (
    experiment_command,
    experiment_schedule_command,
)
from motionfit.benchmarks.experiment.protocol import PROTOCOL, precision_of
from motionfit.benchmarks.experiment.result import read_experiment
from motionfit.benchmarks.experiment.runner import ExperimentError
from motionfit.benchmarks.experiment.schedule import SEEDS
from tests.benchmarks.experiment_driver import PROGRAMS

ONE = "split2-seed0-labels3/random-same-clips"


@pytest.fixture(autouse=True)
def fake_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "PROGRAMS", PROGRAMS)


def call(runs: Path, *arguments: str, command: Callable[..., None] = experiment_command) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(runs), "--data", str(runs.parent), *arguments])


def flat(output: str) -> str:
    return " ".join(output.split())


def test_only_what_matches_is_run_and_the_rest_is_named_as_missing(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    done = call(tmp_path / "runs", "--only", "*split2-seed0-*/random-same-*", "-o", str(results))
    assert done.exit_code == 0, done.output
    result = read_experiment(results)
    assert {cell.name for cell in result.cells} == {
        f"split2-seed0-labels{labels}/random-same-clips" for labels in (1, 3, 5)
    }
    assert result.primary is None
    assert ONE not in result.missing
    assert "split2-seed0-labels3/motionfit" in result.missing


def commands_of_method() -> list[list[str]]:
    text = (Path(training.__path__[0]) / "METHOD.md").read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line.startswith("motionfit-bench experiment")]
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.parametrize("command", commands_of_method(), ids=" ".join)
def test_the_commands_that_method_names_are_commands(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ucf101_10", "tennis7", "fight_surv", "pushup2", "weizmann10"):
        (tmp_path / name).mkdir()
    again = [] if command[0] == "experiment-schedule" else ["--dry-run"]
    done = CliRunner().invoke(app, [*command, *again], env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.output
    assert ("jobs left" if again else "chosen: ") in done.output


def test_why_nothing_could_be_measured_is_said_before_that_nothing_was(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results.json"
    runs.mkdir()
    (runs / "failing").write_text("teacher")
    done = call(runs, "--only", "split2-seed0-labels3/motionfit", "-o", str(results))
    assert isinstance(done.exception, ExperimentError)
    assert "1 jobs failed: split2-seed0-labels3/teacher-flow" in str(done.exception)
    assert not results.exists()


def test_failures_are_named_after_the_results_are_written(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results.json"
    assert call(runs, "--only", ONE).exit_code == 0
    (runs / "failing").write_text("teacher")
    done = call(runs, "--only", ONE, "--only", "split2-seed0-labels3/mars", "-o", str(results))
    assert isinstance(done.exception, ExperimentError)
    assert "teacher-flow: something is wrong" in str(done.exception)
    assert [cell.name for cell in read_experiment(results).cells] == [ONE]


def test_a_pattern_that_matches_nothing_is_an_error_that_names_the_arms(tmp_path: Path) -> None:
    done = call(tmp_path / "runs", "--only", "flow")
    assert isinstance(done.exception, ExperimentError)
    assert "two-stream" in str(done.exception)
    assert not (tmp_path / "runs").exists()


def test_core_minutes_of_an_arm_are_those_of_its_jobs(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results.json"
    assert call(runs, "--only", "split2-seed0-labels3/motionfit", "-o", str(results)).exit_code == 0
    (spent,) = read_experiment(results).spent_by_arm
    assert (spent.name, spent.cells) == ("labels3/motionfit", 1)
    records = [
        json.loads(path.read_text()) for path in (runs / "split2-seed0-labels3").glob("*.json")
    ]
    seconds = sum(sum(one.get("seconds", ())) for one in records)
    assert spent.minutes == pytest.approx(seconds / 60, rel=1e-3)


def test_precision_is_that_of_every_training_and_the_results_say_it(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results.json"
    done = call(runs, "--precision", "fp32", "--only", ONE, "-o", str(results))
    assert done.exit_code == 0, done.output
    assert precision_of(read_experiment(results).protocol) == "fp32"
    (record,) = (runs / "split2-seed0-labels3").glob("random-*-clips.job.json")
    arguments = json.loads(record.read_text())["arguments"]
    assert arguments[arguments.index("--precision") + 1] == "fp32"
    assert arguments.count("--precision") == 1
    other = call(runs, "--only", ONE)
    assert "was made by another command than the protocol's" in str(other.exception)


@pytest.mark.parametrize("slow", [True, False])
def test_bf16_on_a_processor_without_it_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    monkeypatch.setattr(course, "is_slow_in", lambda precision: slow and precision == "bf16")
    warning = "takes many times as long as with --precision fp32"
    assert (warning in flat(call(tmp_path / "bf16", "--only", ONE).output)) is slow
    other = call(tmp_path / "fp32", "--only", ONE, "--precision", "fp32")
    assert warning not in flat(other.output)


def test_a_dry_run_says_what_is_left_and_runs_nothing(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert call(runs, "--only", ONE).exit_code == 0
    before = sorted(runs.rglob("*"))
    done = call(runs, "--only", "split?-seed0-labels3/random-same-clips", "--dry-run")
    assert done.exit_code == 0
    assert sorted(runs.rglob("*")) == before
    assert "random-46000-clips" in done.output  # of the other split
    assert "not known" not in done.output
    unknown = call(runs, "--only", "split3-seed0-labels3/motionfit", "--dry-run")
    assert "not known yet" in unknown.output


def test_own_schedule_is_chosen_from_the_cells_of_the_rule_alone(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results.json"
    done = call(runs, "-o", str(results), command=experiment_schedule_command)
    assert done.exit_code == 0, done.output
    result = read_experiment(results)
    assert {cell.name for cell in result.cells} == {
        f"{split.name}-seed{seed}-labels3/random-{clips}-clips"
        for split in PROTOCOL.splits
        for seed in SEEDS
        for clips in PROTOCOL.schedules
    }
    assert result.measured_on == "validation"
    assert result.missing == ()
    trained = {path.name for path in runs.glob("*/*") if path.is_dir()}
    assert trained == {f"random-{clips}-clips" for clips in PROTOCOL.schedules}
    means = {one.arm: sum(one.per_cell.values()) / 4 for one in result.summaries}
    best = max(PROTOCOL.schedules, key=lambda clips: means[f"random-{clips}-clips"])
    assert f"chosen: {best} clips. The protocol has the arm" in done.output


def test_no_choice_is_made_before_all_is_measured(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results.json"
    assert call(runs, "--on", "validation", "--only", "*-seed0-*/random-5000-clips").exit_code == 0
    done = call(runs, "-o", str(results), "--minutes", "0", command=experiment_schedule_command)
    assert "not all schedules are measured yet" in done.output


def test_persons_need_another_source_and_have_no_validation(tmp_path: Path) -> None:
    none = call(tmp_path / "runs", "--protocol", "weizmann")
    assert "give --cross-domain" in str(none.exception)
    source = ("--protocol", "weizmann", "--cross-domain", str(tmp_path))
    chosen = call(tmp_path / "runs", *source, "--on", "validation")
    assert "no validation" in str(chosen.exception)


def test_several_sources_are_one_and_another_list_of_them_is_refused(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name in "abc":
        (tmp_path / name).mkdir()
    first = [flag for name in "ab" for flag in ("--cross-domain", str(tmp_path / name))]
    only = ("--only", "split2-seed0-labels3/cross-domain", "-o", str(tmp_path / "results.json"))
    assert call(runs, *first, *only).exit_code == 0
    assert read_experiment(tmp_path / "results.json").cross_domain == ("a", "b")
    more = call(runs, *first, "--cross-domain", str(tmp_path / "c"), *only)
    assert "another command than the protocol's" in str(more.exception)
