"""The command does what it is asked for, writes what is done, and names what failed."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from motionfit.benchmarks import experiment_command as command
from motionfit.benchmarks.experiment_result import read_experiment
from motionfit.benchmarks.experiment_runner import ExperimentError
from tests.benchmarks.experiment_driver import FAKE

ONE = "split2-seed0-labels3/random-same-clips"


@pytest.fixture(autouse=True)
def fake_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PROGRAMS", {"train": FAKE, "watch": FAKE})


def call(runs: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(command.experiment_command)
    return CliRunner().invoke(app, [str(runs), "--data", str(runs.parent), *arguments])


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
