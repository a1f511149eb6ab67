import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.training.checkpoint import (
    CHECKPOINT,
    CheckpointError,
    load_checkpoint,
    load_student,
)
from motionfit.training.config import ConfigError, read_config
from motionfit.training.evaluation import flow_logits
from motionfit.training.fit import measure
from motionfit.training.flow_store import open_flow
from motionfit.training.manifest import read_manifest
from motionfit.training.session import RunOptions
from motionfit.training.stage_config import TeacherConfig
from motionfit.training.start import load_start
from motionfit.training.teacher import train_teacher
from motionfit.training.used_videos import read_used

Options = RunOptions[TeacherConfig]


@pytest.fixture
def options(dataset: Path, spec: ClipSpec, tmp_path: Path) -> Options:
    config = TeacherConfig.model_validate(
        {
            "data": {"labelled": dataset, "hold_out": ["group=g2"]},
            "flow": {"flow": tmp_path / "flow", "compute_side": 48, "grid_clips": 3},
            "clip": {
                "frames": spec.num_frames,
                "frame_rate": spec.frame_rate,
                "short_side": spec.short_side,
                "crop": spec.crop,
                "clips": spec.num_clips,
            },
            "input": {"workers": 0},
            "network": {"width": 0.1},
            "train": {"epochs": 2, "batch_size": 4, "learning_rate": 5e-3, "evaluations": 1},
        }
    )
    return RunOptions(config=config, output=tmp_path / "teacher", resume=False, command="teacher")


def changed(options: Options, output: Path | None = None, **sections: Any) -> Options:
    update = {
        name: getattr(options.config, name).model_copy(update=values)
        for name, values in sections.items()
    }
    return RunOptions(
        config=options.config.model_copy(update=update),
        output=output or options.output,
        resume=False,
        command=options.command,
    )


def said(options: Options) -> str:
    console = Console(file=io.StringIO(), width=200)
    train_teacher(options, console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_motion_teacher_takes_flow_and_says_which(options: Options) -> None:
    said(options)
    teacher = load_checkpoint(options.output)
    assert teacher.flow == options.config.flow.spec(options.config.clip)
    assert teacher.model.stem[0].in_channels == 2
    assert teacher.labels == ("blue", "red")
    assert sorted(read_used(options.output).values()).count("training") == 8
    figures = teacher.training["measured"]["figures"]
    rows = read_manifest(options.config.data.labelled)
    found = open_flow(
        [row for row in rows if row.columns["group"] == "g2"],
        folder=options.config.flow.flow or Path(),
        spec=teacher.flow,
        console=Console(quiet=True),
    )
    logits = np.stack(
        [flow_logits(teacher.model, video, spec=teacher.spec) for _, video in found.videos]
    )
    assert logits.shape == (4, 3, 2)
    labels = np.array([teacher.labels.index(row.label) for row, _ in found.videos])
    assert measure(logits, labels).figures == pytest.approx(figures, rel=1e-4)


def test_the_appearance_generator_is_the_same_command_on_pictures(options: Options) -> None:
    said(changed(options, teacher={"modality": "rgb"}, flow={"flow": None}))
    teacher = load_student(options.output)
    assert teacher.flow is None
    assert teacher.model.stem[0].in_channels == 3
    assert teacher.training["measured"]["figures"]["videos"] == 4


@pytest.mark.parametrize("clips", [1, 3, 4])
@pytest.mark.parametrize("modality", ["flow", "rgb"])
def test_a_length_in_clips_counts_every_clip_of_a_loss(
    options: Options, clips: int, modality: str
) -> None:
    said(
        changed(
            options,
            teacher={"modality": modality, "loss_clips": clips},
            train={"clips_seen": 24, "batch_size": 4},
        )
    )
    videos = max(1, 4 // clips)
    lines = (options.output / "log.jsonl").read_text().splitlines()
    epochs = -(-(24 // clips) // (8 // videos * videos))
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, epochs + 1))


def test_frames_of_a_clip_from_8_to_64_are_possible(options: Options, tmp_path: Path) -> None:
    for frames in (8, 64):
        run = changed(options, tmp_path / str(frames), clip={"frames": frames})
        run = changed(run, train={"epochs": 1}, data={"hold_out": (), "hold_out_share": 0.0})
        said(run)
        flow = load_checkpoint(run.output).flow
        assert flow is not None
        assert flow.num_frames == frames


def test_a_network_of_flow_is_no_student(options: Options, spec: ClipSpec) -> None:
    said(options)
    for refused in (
        lambda: load_student(options.output),
        lambda: load_start(str(options.output), labels=("a", "b"), width=0.1, spec=spec),
    ):
        check: Callable[[], object] = refused
        with pytest.raises(CheckpointError, match=r"takes optical flow.*give an RGB student"):
            check()


def test_a_motion_teacher_needs_a_folder_of_flow(dataset: Path) -> None:
    with pytest.raises(ConfigError, match="give --flow"):
        read_config(None, {"data": {"labelled": dataset}}, kind=TeacherConfig)
    values = {"data": {"labelled": dataset}, "network": {"width": 9}}
    with pytest.raises(ConfigError, match=r"network\.width.*less than or equal to 2"):
        read_config(None, values, kind=TeacherConfig)


def test_equal_seeds_train_equal_teachers(options: Options, tmp_path: Path) -> None:
    runs = [changed(options, tmp_path / name) for name in ("one", "other")]
    for run in runs:
        said(run)
    one, other = (load_checkpoint(run.output / CHECKPOINT).model.state_dict() for run in runs)
    assert all(torch.equal(one[name], other[name]) for name in one)
