import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.video import read_clips
from motionfit.training.checkpoint import CHECKPOINT, CLIPS, CheckpointError, load_checkpoint
from motionfit.training.fit import FitOptions, fit
from motionfit.training.loop import Recipe
from motionfit.training.manifest import parse_filter

COMMAND = [sys.executable, "-c", "from motionfit.training.cli import main; main()"]
# fmt: off
SMALL = [
    "--width", "0.1", "--frames", "2", "--frame-rate", "6", "--short-side", "24", "--crop", "16",
    "--batch-size", "8",
]
# fmt: on


@pytest.fixture
def options(dataset: Path, spec: ClipSpec, tmp_path: Path) -> FitOptions:
    return FitOptions(
        labelled=dataset,
        output=tmp_path / "run",
        where=(),
        hold_out=(parse_filter("group=g2"),),
        calibration_from=None,
        spec=spec,
        width=0.1,
        recipe=Recipe(
            epochs=3,
            batch_size=4,
            learning_rate=5e-3,
            weight_decay=0.05,
            label_smoothing=0.1,
            warmup=0.1,
            seed=0,
            compiled=False,
        ),
        command="motionfit-train fit",
    )


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
    assert record["recipe"]["seed"] == 3
    assert record["data"]["hold_out"] == ["group=g2"]
    assert record["data"]["training_videos_per_class"] == {"blue": 4, "red": 4}
    assert record["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert f"--labelled {dataset.name} -o first --hold-out group=g2" in record["command"]
    assert str(dataset.parent) not in json.dumps(record)


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
    spec = replace(options.spec, num_clips=load_checkpoint(finished).spec.num_clips)
    said(replace(options, hold_out=(), calibration_from=finished, spec=spec))
    mine, earlier = load_checkpoint(options.output), load_checkpoint(finished)
    assert mine.spec == earlier.spec
    assert mine.training["data"]["training_videos"] == 12
    assert mine.training["measured"]["figures"] == earlier.training["measured"]["figures"]
    assert "earlier run first" in mine.training["measured"]["source"]


def test_calibration_is_not_copied_between_runs_on_other_clips_or_classes(
    finished: Path, options: FitOptions
) -> None:
    copying = replace(options, hold_out=(), calibration_from=finished)
    with pytest.raises(CheckpointError, match="made with other clips"):
        said(replace(copying, spec=replace(options.spec, frame_rate=5.0)))
    with pytest.raises(CheckpointError, match=r"knows 2 classes \(blue, red\); this run has 1"):
        said(replace(copying, where=(parse_filter("label=red"),)))
    assert not options.output.exists()


def test_without_held_out_videos_nothing_is_calibrated_and_it_says_so(
    options: FitOptions,
) -> None:
    output = said(replace(options, hold_out=()))
    assert "temperature 1.0, abstain threshold 0.0: not calibrated" in output
    checkpoint = load_checkpoint(options.output)
    assert (checkpoint.spec.temperature, checkpoint.spec.abstain_threshold) == (1.0, 0.0)
    with pytest.raises(CheckpointError, match="no calibration to copy"):
        said(
            replace(
                options,
                hold_out=(),
                calibration_from=options.output,
                output=options.output.with_name("second"),
            )
        )


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    options: FitOptions,
) -> None:
    weights = []
    for number, seed in enumerate([7, 7, 8]):
        output = options.output.with_name(f"run{number}")
        said(replace(options, output=output, recipe=replace(options.recipe, seed=seed)))
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
    on_folders = replace(options, labelled=tmp_path / "set", hold_out=())
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
        said(replace(options, hold_out=tuple(parse_filter(text) for text in held_out)))
    assert not options.output.exists()


def test_sigterm_in_mid_run_leaves_a_log_and_no_checkpoint(dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["fit", "--labelled", dataset, "-o", run, *SMALL, "--epochs", "100000"]
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            deadline = time.monotonic() + 60
            log = run / "log.jsonl"
            while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            stderr = process.communicate(timeout=30)[1]
        finally:
            process.kill()
    assert process.returncode == 130
    assert f"no checkpoint was written to {run}" in stderr
    assert "Traceback" not in stderr
    assert sorted(path.name for path in run.iterdir()) == [CLIPS, "log.jsonl"]
    assert json.loads(log.read_text().splitlines()[-1])["epoch"] >= 1


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
    assert both.returncode == 2
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
