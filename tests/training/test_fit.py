import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.video import read_clips
from motionfit.training.checkpoint import CHECKPOINT, CLIPS, CheckpointError, load_checkpoint
from motionfit.training.config import Config, ConfigError
from motionfit.training.fit import FitOptions, fit, make_plan
from motionfit.training.manifest import read_manifest
from motionfit.training.session import CONFIG
from motionfit.training.state import STATE, load_state
from motionfit.training.used_videos import read_used

COMMAND = [sys.executable, "-c", "from motionfit.training.cli import main; main()"]
# fmt: off
SMALL = [
    "--width", "0.1", "--frames", "2", "--frame-rate", "6", "--short-side", "24", "--crop", "16",
    "--batch-size", "8",
]
# fmt: on


@pytest.fixture
def options(dataset: Path, spec: ClipSpec, tmp_path: Path) -> FitOptions:
    config = Config.model_validate(
        {
            "data": {"labelled": dataset, "hold_out": ["group=g2"]},
            "clip": {
                "frames": spec.num_frames,
                "frame_rate": spec.frame_rate,
                "short_side": spec.short_side,
                "crop": spec.crop,
                "clips": spec.num_clips,
            },
            "input": {"workers": 0},
            "model": {"width": 0.1},
            "train": {"epochs": 3, "batch_size": 4, "learning_rate": 5e-3},
        }
    )
    return FitOptions(
        config=config, output=tmp_path / "run", resume=False, command="motionfit-train fit"
    )


def changed(options: FitOptions, output: Path | None = None, **sections: Any) -> FitOptions:
    """The same options with other values: ``data={...}``, ``train={...}``."""
    values = options.config.model_dump()
    for section, new in sections.items():
        values[section] |= new
    config = Config.model_validate(values)
    return replace(options, config=config, output=output or options.output)


def run_command(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True)


def said(options: FitOptions) -> str:
    """Fit, and what that printed."""
    console = Console(file=io.StringIO(), width=200)
    fit(options, console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def finished(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the real command that held the group g2 out."""
    run = tmp_path_factory.mktemp("runs") / "first"
    done = run_command(
        "fit", "--labelled", dataset, "-o", run, "--hold-out", "group=g2", *SMALL,
        "--epochs", "60", "--learning-rate", "0.002", "--seed", "3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return run


def test_the_command_learns_what_can_be_learnt_and_says_how_well(finished: Path) -> None:
    checkpoint = load_checkpoint(finished)
    figures = checkpoint.training["measured"]["figures"]
    assert checkpoint.labels == ("blue", "red")
    assert figures["videos"] == 4
    assert figures["accuracy"] == 1.0
    assert checkpoint.spec.temperature != 1.0
    assert checkpoint.training["measured"]["figures"]["answered_share"] == 1.0
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 61))
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["held_out_accuracy"] == 1.0


def test_the_record_names_data_recipe_and_versions_but_no_folder_of_the_machine(
    finished: Path, dataset: Path
) -> None:
    record = load_checkpoint(finished).training
    assert record["configuration"]["train"]["seed"] == 3
    assert record["configuration"]["data"]["labelled"] == dataset.name
    assert record["start"] == "random weights"
    assert record["data"]["hold_out"] == ["group=g2"]
    assert record["data"]["training_videos_per_class"] == {"blue": 4, "red": 4}
    assert record["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert f"--labelled {dataset.name} -o first --hold-out group=g2" in record["command"]
    assert str(dataset.parent) not in json.dumps(record)


def test_the_run_says_which_videos_it_trained_on(finished: Path, dataset: Path) -> None:
    used = read_used(finished)
    groups = {row.name: row.columns["group"] for row in read_manifest(dataset)}
    assert used == {
        name: "held_out" if group == "g2" else "training" for name, group in groups.items()
    }


def test_the_saved_clips_are_held_out_ones_as_the_product_reads_them(
    finished: Path, dataset: Path
) -> None:
    saved = load_file(finished / CLIPS)
    spec = load_checkpoint(finished).spec
    expected = read_clips(dataset / "videos" / "blue4.mp4", spec=spec).frames
    assert saved["labels"].tolist() == [0, 0, 1, 1]
    assert np.array_equal(saved["frames"][0].numpy(), expected[len(expected) // 2])


def test_a_run_on_all_rows_takes_calibration_from_one_that_held_some_out(
    finished: Path, options: FitOptions
) -> None:
    clips = {"clips": load_checkpoint(finished).spec.num_clips}
    said(changed(options, data={"hold_out": (), "calibration_from": finished}, clip=clips))
    mine, earlier = load_checkpoint(options.output), load_checkpoint(finished)
    assert mine.spec == earlier.spec
    assert mine.training["data"]["training_videos"] == 12
    assert mine.training["measured"]["figures"] == earlier.training["measured"]["figures"]
    assert "earlier run first" in mine.training["measured"]["source"]


def test_calibration_is_not_copied_between_runs_on_other_clips_or_classes(
    finished: Path, options: FitOptions
) -> None:
    copying = changed(options, data={"hold_out": (), "calibration_from": finished})
    with pytest.raises(CheckpointError, match="made with other clips"):
        said(changed(copying, clip={"frame_rate": 5.0}))
    with pytest.raises(CheckpointError, match=r"knows 2 classes \(blue, red\); this run has 1"):
        said(changed(copying, data={"where": ("label=red",)}))
    assert not options.output.exists()


def test_without_held_out_videos_nothing_is_calibrated_and_it_says_so(
    options: FitOptions,
) -> None:
    unmeasured = changed(options, data={"hold_out": (), "hold_out_share": 0})
    output = said(unmeasured)
    assert "temperature 1.0, abstain threshold 0.0: not calibrated" in output
    checkpoint = load_checkpoint(options.output)
    assert (checkpoint.spec.temperature, checkpoint.spec.abstain_threshold) == (1.0, 0.0)
    with pytest.raises(CheckpointError, match="no calibration to copy"):
        said(
            changed(
                unmeasured,
                output=options.output.with_name("second"),
                data={"calibration_from": options.output},
            )
        )


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    options: FitOptions,
) -> None:
    weights = []
    for number, seed in enumerate([7, 7, 8]):
        output = options.output.with_name(f"run{number}")
        said(changed(options, output=output, train={"seed": seed}))
        weights.append(load_checkpoint(output).model.fc.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_unreadable_videos_are_named_left_out_and_recorded(
    options: FitOptions, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    for label, colour in {"a": (0, 0, 99), "b": (99, 0, 0)}.items():
        for number in range(2):
            write_video(tmp_path / "set" / label / f"{number}.mp4", colour=colour, seed=number)
    (tmp_path / "set" / "a" / "notes.txt").write_text("no video")
    on_folders = changed(
        options, data={"labelled": tmp_path / "set", "hold_out": (), "hold_out_share": 0}
    )
    output = said(on_folders)
    assert "left out: a/notes.txt: " in output
    assert "1 of 5 videos could not be read" in output
    unreadable = load_checkpoint(options.output).training["data"]["unreadable"]
    assert [one["name"] for one in unreadable] == ["a/notes.txt"]

    (tmp_path / "set" / "c").mkdir()
    (tmp_path / "set" / "c" / "only.mp4").write_bytes(b"broken")
    with pytest.raises(DatasetError, match="no video of c can be read"):
        said(replace(on_folders, output=tmp_path / "other"))


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (("label=red",), "all videos of red are held out"),
        (("label=red,blue",), "every video is held out"),
        (("fold=1",), "no column 'fold'"),
    ],
)
def test_what_cannot_be_held_out_is_an_error_before_anything_is_written(
    options: FitOptions, held_out: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        said(changed(options, data={"hold_out": held_out}))
    assert not options.output.exists()


def test_a_fifth_of_the_videos_is_held_out_unless_told_otherwise(options: FitOptions) -> None:
    said(changed(options, data={"hold_out": ()}))
    record = load_checkpoint(options.output).training
    # Three groups: a third is the least that a whole group can be.
    assert (record["data"]["training_videos"], record["data"]["held_out_videos"]) == (8, 4)
    assert record["measured"]["source"] == "this run's held-out videos"


def test_weights_start_from_an_earlier_run_whose_frozen_parts_stay(
    finished: Path, options: FitOptions
) -> None:
    parts = ("stem", "layer1", "layer2", "layer3")
    output = said(
        changed(
            options,
            model={"start": str(finished), "freeze": parts},
            train={"learning_rate_factors": {"fc": 5}},
        )
    )
    before, after = (load_checkpoint(run).model for run in (finished, options.output))
    for name, tensor in after.state_dict().items():
        frozen = name.startswith(parts)
        moved = not torch.equal(tensor, before.state_dict()[name])
        assert moved is not frozen or "num_batches" in name or "shortcut" in name, name
    assert "weights from " in output
    assert "first" in load_checkpoint(options.output).training["start"]


def test_starting_weights_that_know_the_held_out_videos_are_warned_of(
    finished: Path, options: FitOptions
) -> None:
    start = {"model": {"start": str(finished)}}
    console = Console(file=io.StringIO(), width=200)
    config = changed(options, **start, data={"hold_out": ["group=g1"]}).config
    assert make_plan(config, console=console).seen_by_start == 4
    assert isinstance(console.file, io.StringIO)
    assert "warning: the starting weights were trained on 4 of the 4" in console.file.getvalue()
    assert make_plan(changed(options, **start).config, console=console).seen_by_start == 0


def test_a_configuration_of_accelerate_changes_no_precision(dataset: Path, tmp_path: Path) -> None:
    arguments = ["--labelled", dataset, *SMALL, "--epochs", "1", "--hold-out", "group=g2"]
    weights = []
    for precision in ("no", "bf16"):
        run = tmp_path / precision
        done = subprocess.run(
            [*COMMAND, "fit", "-o", run, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=os.environ | {"ACCELERATE_MIXED_PRECISION": precision},
        )
        assert done.returncode == 0, done.stderr
        weights.append(load_checkpoint(run).model.state_dict())
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def start_run(run: Path, *arguments: str | Path) -> "subprocess.Popen[str]":
    command = [*COMMAND, "fit", "-o", run, *arguments]
    return subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


# Twelve videos in steps of two are six steps an epoch, and a state is written after every one.
LONG = [
    *("--batch-size", "2", "--save-minutes", "1e-9", "--hold-out-share", "0", "--ema", "0.9"),
    *("--epochs", "10"),
]


@pytest.fixture(scope="module")
def undisturbed(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    whole = run_command("fit", "-o", run, "--labelled", dataset, *SMALL, *LONG)
    assert whole.returncode == 0, whole.stderr
    return run


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_was_stopped_or_killed_in_mid_epoch_resumes_to_the_same_bits(
    dataset: Path, undisturbed: Path, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "stopped"
    with start_run(run, "--labelled", dataset, *SMALL, *LONG) as process:
        wait_for(run / STATE, process)
        process.send_signal(number)
        stderr = process.communicate(timeout=60)[1]
    assert not (run / CHECKPOINT).exists()
    step = load_state(run / STATE).values["course"]["step"]
    assert 0 < step < 60
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert f"go on with:  motionfit-train fit --resume -o {run}" in stderr
        assert "Traceback" not in stderr
    resumed = run_command("fit", "--resume", "-o", run)
    assert resumed.returncode == 0, resumed.stderr
    ends = [load_file(folder / CHECKPOINT) for folder in (undisturbed, run)]
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
    epochs = [json.loads(line)["epoch"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, 11))
    assert not (run / STATE).exists()


def test_a_configuration_file_does_what_flags_do_and_a_run_keeps_its_own(
    dataset: Path, tmp_path: Path
) -> None:
    arguments = ["--labelled", dataset, *SMALL, "--epochs", "2", "--seed", "4"]
    by_flags, by_file = tmp_path / "flags", tmp_path / "file"
    assert run_command("fit", "-o", by_flags, *arguments).returncode == 0
    done = run_command("fit", "-o", by_file, "--config", by_flags / CONFIG)
    assert done.returncode == 0, done.stderr
    assert (by_file / CONFIG).read_text() == (by_flags / CONFIG).read_text()
    first, second = (load_file(run / CHECKPOINT) for run in (by_flags, by_file))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_only_an_unfinished_run_is_resumed_and_with_its_own_values(
    finished: Path, tmp_path: Path
) -> None:
    for arguments, message in (
        (["--resume", "-o", tmp_path], "holds no run to go on with"),
        (["--resume", "-o", finished], "is finished"),
        (["--resume", "-o", finished, "--epochs", "3"], "with its own values"),
    ):
        done = run_command("fit", *arguments)
        assert done.returncode == 2
        assert message in " ".join(done.stderr.replace("│", " ").split())


def test_two_processes_train_one_student(dataset: Path, tmp_path: Path) -> None:
    """Started by accelerate, over a real socket: each process takes half of every step."""
    run = tmp_path / "run"
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    arguments = [
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
        "--num_cpu_threads_per_process", "1", "--main_process_port", "0",
        "-m", "motionfit.training.cli",
        "fit", "--labelled", dataset, "-o", run, *SMALL, "--epochs", "20", "--hold-out", "group=g2",
        "--batch-size", "4", "--learning-rate", "0.002", "--evaluations", "1", "--patience", "1",
    ]  # fmt: skip
    done = subprocess.run([*launch, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = load_checkpoint(run).training["measured"]["figures"]
    assert figures["videos"] == 4
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 21))
    assert lines[-1]["loss"] < lines[0]["loss"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_half_precision_without_a_gpu_is_refused_before_anything_is_written(
    options: FitOptions,
) -> None:
    with pytest.raises(ConfigError, match="fp16 needs a GPU, and there is none; bf16 does without"):
        said(changed(options, train={"precision": "fp16"}))
    assert not options.output.exists()


@pytest.mark.parametrize("content", ["file", "folder"])
def test_an_existing_run_is_never_overwritten(dataset: Path, tmp_path: Path, content: str) -> None:
    run = tmp_path / "run"
    if content == "file":
        run.write_text("mine")
    else:
        run.mkdir()
        (run / "mine.txt").touch()
    done = run_command("fit", "--labelled", dataset, "-o", run)
    assert done.returncode == 2
    assert "is not an empty folder" in done.stderr


def test_wrong_use_exits_with_2_and_a_bad_data_set_with_1_and_one_line(tmp_path: Path) -> None:
    nowhere = ["fit", "--labelled", str(tmp_path / "nowhere"), "-o", str(tmp_path / "run")]
    both = run_command(*nowhere, "--hold-out", "a=b", "--calibration-from", tmp_path)
    assert both.returncode == 1
    assert "not both" in both.stderr
    absent = run_command(*nowhere)
    assert absent.returncode == 1
    assert absent.stderr.strip() == f"error: there is no data set at {tmp_path / 'nowhere'}"


def test_describe_tells_the_size_of_a_checkpoint_and_of_a_planned_student(finished: Path) -> None:
    done = run_command("describe", finished)
    assert done.returncode == 0
    model = load_checkpoint(finished / CHECKPOINT).model
    assert f"{sum(p.numel() for p in model.parameters()):,}" in done.stdout
    assert "blue, red" in done.stdout
    planned = run_command("describe", "--width", "1", "--frames", "16", "--crop", "112")
    assert "31,305,255" in planned.stdout
