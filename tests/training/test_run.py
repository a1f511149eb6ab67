"""All stages by the real command, killed in each of them."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from motionfit.inference.errors import MotionfitError
from motionfit.training.checkpoint import CHECKPOINT, load_checkpoint
from motionfit.training.config import read_config
from motionfit.training.pseudo_label import LABELS, PREDICTIONS
from motionfit.training.run import run as run_all
from motionfit.training.run_config import MethodConfig
from motionfit.training.run_demo import demo_values, is_demo
from motionfit.training.run_result import RunResult
from motionfit.training.run_stages import FINE_TUNED, PSEUDO_LABEL, RANDOM, STUDENT, TEACHER
from motionfit.training.run_text import JSON, TEXT
from motionfit.training.session import CONFIG, RunOptions
from motionfit.training.state import STATE

MOST_SECONDS = 600  # on a busy machine
COMMAND = [sys.executable, "-c", "from motionfit.training.cli import main; main()", "run"]
# fmt: off
SMALL = [
    "--frames", "2", "--frame-rate", "6", "--short-side", "24", "--crop", "16", "--clips", "2",
    "--compute-side", "24", "--grid-clips", "2", "--width", "0.05", "--workers", "0",
    "--batch-size", "4", "--save-minutes", "1e-9", "--seed", "3",
]
CLIPS = ["--teacher-clips", "80", "--student-clips", "80", "--fine-tuning-clips", "80"]
# fmt: on


def parts_of(dataset: Path) -> list[str | Path]:
    """Flags that label group g0 of the data set, leave g1 without labels, and test on g2."""
    return [
        *("--labelled", dataset, "--where", "group=g0", "--hold-out-share", "0"),
        *("--unlabelled", dataset, "--unlabelled-where", "group=g0,g1"),
        *("--test", dataset, "--test-where", "group=g2"),
    ]


def table_of_parts(dataset: Path) -> str:
    """The same as a TOML file, with the clips of each stage."""
    return f"""
        data = {{ labelled = "{dataset}", where = ["group=g0"], hold_out_share = 0 }}
        stages = {{ teacher_clips = 80, student_clips = 80, fine_tuning_clips = 80 }}

        [others]
        unlabelled = "{dataset}"
        unlabelled_where = ["group=g0,g1"]
        test = "{dataset}"
        test_where = ["group=g2"]
    """


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(*arguments: str | Path) -> tuple[int, str]:
    """The exit status of the command, and all that it printed."""
    with start(*arguments) as process:
        printed = "".join(process.communicate(timeout=MOST_SECONDS))
    return process.returncode, printed


@pytest.fixture(scope="module")
def whole(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run that nobody disturbed, and what it printed."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    status, printed = outcome("-o", run, *parts_of(dataset), *SMALL, *CLIPS)
    assert status == 0, printed
    return run, printed


def test_one_command_does_all_stages_and_says_what_came_of_it(whole: tuple[Path, str]) -> None:
    run, printed = whole
    result = RunResult.model_validate(json.loads((run / JSON).read_text()))
    assert {one.name: one.clips_seen for one in result.networks} == {
        "random": 160, "student": 80, "motionfit": 160, "teacher": 80, "two-stream": 240,
    }  # fmt: skip
    assert (result.labelled_videos, result.unlabelled_videos, result.videos) == (4, 8, 4)
    for network in result.networks:  # all videos are of one frame rate
        (rate,) = network.per_frame_rate
        assert (rate.frame_rate, rate.top1, rate.top1_among_labels) == (12, *[network.top1] * 2)
    assert result.pseudo_labels is not None
    assert result.pseudo_labels.videos.count == 4  # group g1: the teacher never saw it
    assert [one.k for one in result.recalls] == [1]  # four videos in the gallery
    assert result.warnings == ()
    assert "MotionFit: 160 clips" in printed
    assert "MotionFit: 160 clips" in (run / TEXT).read_text()
    assert load_checkpoint(run / TEACHER).flow is not None
    start_of = load_checkpoint(run / FINE_TUNED).training["start"]
    assert start_of.startswith("student (sha256 ")
    assert load_checkpoint(run / RANDOM).training["start"] == "random weights"


# A stage is killed when the first file is there; it must not have come to the second.
KILLED = {
    "flow": ("flow", TEACHER),
    "teacher": (f"{TEACHER}/{STATE}", f"{TEACHER}/{CHECKPOINT}"),
    "pseudo-label": (f"{PSEUDO_LABEL}/{PREDICTIONS}", f"{PSEUDO_LABEL}/{LABELS}"),
    "student": (f"{STUDENT}/{STATE}", f"{STUDENT}/{CHECKPOINT}"),
    "fine-tune": (f"{FINE_TUNED}/{STATE}", f"{FINE_TUNED}/{CHECKPOINT}"),
    "random": (f"{RANDOM}/{STATE}", f"{RANDOM}/{CHECKPOINT}"),
}


def test_a_run_that_was_killed_in_every_stage_ends_with_the_same_bits(
    whole: tuple[Path, str], dataset: Path, tmp_path: Path
) -> None:
    run, table = tmp_path / "killed", tmp_path / "run.toml"
    table.write_text(table_of_parts(dataset))  # the one that nobody disturbed had flags
    arguments: list[str | Path] = ["--config", table, "-o", run, *SMALL]
    for begun, done in KILLED.values():
        with start(*arguments) as process:
            wait_for((run / begun).exists, process)
            process.send_signal(signal.SIGKILL)
        assert not (run / done).exists()
        arguments = ["--resume", "-o", run]
    before = (run / RANDOM / STATE).stat().st_mtime_ns
    with start(*arguments) as process:
        wait_for(lambda: (run / RANDOM / STATE).stat().st_mtime_ns > before, process)
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=MOST_SECONDS)[1]
    assert process.returncode == 130
    assert f"go on with:  motionfit-train run --resume -o {run}" in printed
    assert "Traceback" not in printed
    with start(*arguments) as process:
        wait_for((run / RANDOM / CHECKPOINT).exists, process)  # then it is evaluated
        process.send_signal(signal.SIGKILL)
    assert not (run / JSON).exists()
    status, printed = outcome(*arguments)
    assert status == 0, printed
    assert "student: done before" in printed
    for stage in (TEACHER, STUDENT, FINE_TUNED, RANDOM):
        undisturbed, killed = (load_file(one / stage / CHECKPOINT) for one in (whole[0], run))
        assert all(torch.equal(tensor, killed[name]) for name, tensor in undisturbed.items()), stage
    results = [json.loads((one / JSON).read_text()) for one in (whole[0], run)]
    for result in results:
        del result["origin"]
    assert results[0] == results[1]


def wait_for(there: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_finished_run_is_not_done_again_but_shown(whole: tuple[Path, str]) -> None:
    run, printed = whole
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    del before[run / CONFIG]
    config = read_config(run / CONFIG, {}, kind=MethodConfig)
    options = RunOptions(config=config, output=run, resume=True, command="")
    console = Console(file=io.StringIO(), width=200)
    result = run_all(options, console=console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("done before") == 9
    assert f"{result.gain.value:+.1%}" in printed
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        (
            "others",
            {"test_where": ["group=g0,g2"]},
            "4 of the 8 test videos are among",
        ),
        ("clip", {"crop": 73}, "crop"),
        ("data", {"calibration_from": "no-such-run"}, "no-such-run"),
        ("labels", {"kind": "clusters", "clusters": 5_000_000}, "clusters must be"),
    ],
)
def test_what_cannot_be_done_is_not_begun(
    section: str, changes: dict[str, Any], message: str, dataset: Path, tmp_path: Path
) -> None:
    values: dict[str, dict[str, Any]] = {
        "data": {"labelled": dataset, "where": ["group=g0"]},
        "others": {"unlabelled": dataset, "test": dataset, "test_where": ["group=g2"]},
    }
    values[section] = {**values.get(section, {}), **changes}
    options = RunOptions(
        config=read_config(None, values, kind=MethodConfig),
        output=tmp_path / "run",
        resume=False,
        command="",
    )
    with pytest.raises(MotionfitError, match=message):
        run_all(options, console=Console(quiet=True))
    assert not options.output.exists()


def test_a_teacher_may_see_pictures_and_held_out_videos_be_measured_on(
    dataset: Path, tmp_path: Path
) -> None:
    values: dict[str, dict[str, Any]] = {
        "data": {"labelled": dataset, "where": ["group=g0,g2"], "hold_out": ["group=g2"]},
        "others": {"unlabelled": dataset},
        "stages": {"teacher_clips": 8, "student_clips": 8, "fine_tuning_clips": 8},
        "teacher": {"modality": "rgb"},
        "flow": {"grid_clips": 2},
        "labels": {"kind": "clusters"},
        "clip": {"frames": 2, "frame_rate": 6, "short_side": 24, "crop": 16, "clips": 2},
        "input": {"workers": 0},
        "network": {"width": 0.05},
        "train": {"batch_size": 4},
    }
    options = RunOptions(
        config=read_config(None, values, kind=MethodConfig),
        output=tmp_path / "run",
        resume=False,
        command="",
    )
    console = Console(file=io.StringIO(), width=200)
    result = run_all(options, console=console)
    assert [one.name for one in result.networks] == ["random", "motionfit", "teacher"]
    assert {one.sees for one in result.networks} == {"pictures"}
    assert (result.data.where, result.videos) == (("group=g0,g2", "held out by the run"), 4)
    assert load_checkpoint(tmp_path / "run" / STUDENT).labels == ("cluster-000", "cluster-001")
    assert load_checkpoint(tmp_path / "run" / FINE_TUNED).labels == ("blue", "red")
    assert not (tmp_path / "run" / "flow").exists()
    assert result.warnings[0] == "4 of the 4 test videos are among the unlabelled ones"


def test_the_demonstration_does_all_stages_on_its_own_videos(tmp_path: Path) -> None:
    few = (
        "from motionfit.training import cli, demo_videos, run; "
        "run.DemoSize = lambda: demo_videos.DemoSize(labelled=2, unlabelled=2, test=2); cli.main()"
    )
    small = ["--width", "0.05", "--workers", "0", "--batch-size", "4"]
    for stage in ("teacher", "student", "fine-tuning"):
        small += [f"--{stage}-clips", "8"]
    run = tmp_path / "demo-run"
    done = subprocess.run(
        [sys.executable, "-c", few, "run", "--demo", "-o", str(run), *small],
        capture_output=True,
        text=True,
        check=False,
        timeout=MOST_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert "making the videos of the demonstration" in done.stderr
    assert "MotionFit: 16 clips" in done.stdout
    result = RunResult.model_validate(json.loads((run / JSON).read_text()))
    classes = len(result.classes)
    assert (result.labelled_videos, result.videos) == (2 * classes, 2 * classes)
    config = read_config(run / CONFIG, {}, kind=MethodConfig)
    assert (config.network.width, config.stages.student_clips) == (0.05, 8)  # the flags
    assert (config.flow.grid_clips, config.augment.flip) == (4, False)  # the demonstration's


def test_the_demonstration_takes_no_file_of_settings(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(table_of_parts(dataset))
    status, printed = outcome("--demo", "--config", tmp_path / "run.toml", "-o", tmp_path / "run")
    assert status == 2
    assert "without --config" in printed
    assert not (tmp_path / "run").exists()


def test_the_demonstration_makes_its_own_videos(tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = read_config(None, demo_values(run), kind=MethodConfig).with_absolute_paths()
    assert is_demo(config, run)
    assert config.others.test == run / "demo" / "test"
    assert not config.augment.flip  # left and right are classes
    others = read_config(
        None, {"data": {"labelled": "a"}, "others": {"unlabelled": "b"}}, kind=MethodConfig
    )
    assert not is_demo(others.with_absolute_paths(), run)
