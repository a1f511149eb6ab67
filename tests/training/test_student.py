import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.sampling import clip_length_us
from motionfit.inference.video import read_frames
from motionfit.training.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from motionfit.training.config import ConfigError, read_config
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_store import FlowStore, open_flow
from motionfit.training.grid import grid_starts
from motionfit.training.manifest import read_manifest
from motionfit.training.model import R2Plus1D
from motionfit.training.pseudo_labels import PseudoLabels, write_labels
from motionfit.training.session import RunOptions
from motionfit.training.stage_config import StudentConfig
from motionfit.training.student import shuffled, train_student
from motionfit.training.used_videos import read_used

Options = RunOptions[StudentConfig]
CLASSES = ("blue", "red")
GRID = 3


@pytest.fixture(scope="module")
def labels(dataset: Path, spec: ClipSpec) -> PseudoLabels:
    """Soft labels of the grid clips of 10 of the 12 videos."""
    names, starts, targets = [], [], []
    for row in read_manifest(dataset)[1:-1]:
        duration = read_frames(row.path, short_side=spec.short_side).duration_us
        for start in grid_starts(duration, spec=spec, clips=GRID):
            names.append(row.name)
            starts.append(int(start))
            targets.append([0.8, 0.2] if row.label == "blue" else [0.3, 0.7])
    starts_us, shares = np.array(starts, np.int64), np.array(targets, np.float32)
    return PseudoLabels(
        videos=tuple(names),
        starts_us=starts_us,
        ends_us=starts_us + clip_length_us(spec),
        targets=shares,
        confidence=shares.max(1),
        entropy=-(shares * np.log(shares)).sum(1),
        labels=CLASSES,
        spec=spec,
        record={"kind": "soft"},
    )


@pytest.fixture
def options(dataset: Path, labels: PseudoLabels, tmp_path: Path) -> Options:
    write_labels(tmp_path / "labels.parquet", labels)
    config = StudentConfig.model_validate(
        {
            "source": {"labels": tmp_path / "labels.parquet", "unlabelled": dataset},
            "input": {"workers": 0},
            "model": {"width": 0.1},
            "train": {"epochs": 2, "batch_size": 6, "learning_rate": 5e-3},
        }
    )
    return RunOptions(config=config, output=tmp_path / "student", resume=False, command="student")


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


def trained(options: Options) -> Mapping[str, Tensor]:
    train_student(options, console=Console(file=io.StringIO(), width=200))
    return load_checkpoint(options.output).model.state_dict()


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def flow_of(spec: ClipSpec) -> FlowSpec:
    return FlowSpec.of(spec, method="dis", compute_side=48, gap_seconds=0.1, grid_clips=GRID)


@pytest.fixture(scope="module")
def flow(dataset: Path, spec: ClipSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the flow of all videos."""
    folder = tmp_path_factory.mktemp("flow")
    rows = read_manifest(dataset)
    open_flow(rows, folder=folder, spec=flow_of(spec), console=Console(quiet=True))
    return folder


def teacher(folder: Path, spec: ClipSpec, *, width: float = 0.1, rgb: bool = False) -> Path:
    torch.manual_seed(5)
    folder.mkdir()
    save_checkpoint(
        folder / "checkpoint.safetensors",
        Checkpoint(
            model=R2Plus1D(2, width=width, channels=3 if rgb else 2),
            spec=spec,
            labels=CLASSES,
            width=width,
            training={},
            flow=None if rgb else flow_of(spec),
        ),
    )
    return folder


def test_a_student_is_trained_on_the_labelled_clips_alone(
    options: Options, labels: PseudoLabels, spec: ClipSpec
) -> None:
    trained(options)
    student = load_checkpoint(options.output)
    assert student.flow is None
    assert (student.labels, student.spec) == (CLASSES, spec)
    assert set(read_used(options.output)) == set(labels.videos)
    assert student.training["pseudo_labels"] == {"kind": "soft"}
    assert student.training["data"]["training_videos"] == 10


def test_shuffled_labels_are_the_same_labels_in_another_order(
    options: Options, labels: PseudoLabels, tmp_path: Path
) -> None:
    dealt = shuffled(labels.targets, seed=0)
    assert sorted(dealt[:, 0]) == sorted(labels.targets[:, 0])
    assert not np.array_equal(dealt, labels.targets)
    assert np.array_equal(dealt, shuffled(labels.targets, seed=0))
    assert not np.array_equal(dealt, shuffled(labels.targets, seed=1))
    assert not same(
        trained(options), trained(changed(options, tmp_path / "control", source={"shuffled": True}))
    )


def test_mers_learns_the_same_from_any_labels(
    options: Options, flow: Path, spec: ClipSpec, tmp_path: Path
) -> None:
    match = {
        "match": teacher(tmp_path / "teacher", spec),
        "flow": flow,
        "cross_entropy": False,
    }
    runs = [
        trained(changed(options, tmp_path / str(mixed), match=match, source={"shuffled": mixed}))
        for mixed in (False, True)
    ]
    assert same(*runs)
    torch.manual_seed(options.config.train.seed)
    start = R2Plus1D(2, width=0.1)
    assert torch.equal(runs[0]["fc.weight"], start.fc.weight)  # which nothing teaches
    assert not torch.equal(runs[0]["stem.0.weight"], start.state_dict()["stem.0.weight"])


def test_training_a_student_computes_no_flow(
    options: Options, flow: Path, spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("flow was computed")

    monkeypatch.setattr(FlowStore, "compute", refuse)
    short = {"train": {"epochs": 1}}
    trained(changed(options, tmp_path / "alone", **short))
    match = {"match": teacher(tmp_path / "teacher", spec), "flow": flow}
    trained(changed(options, tmp_path / "beside", match=match, **short))
    empty = {**match, "flow": tmp_path / "empty"}
    with pytest.raises(DatasetError, match="lacks the flow of 10 of 10 videos"):
        trained(changed(options, tmp_path / "without", match=empty, **short))


def test_the_teachers_calibration_is_not_the_students(
    options: Options, labels: PseudoLabels, spec: ClipSpec, tmp_path: Path
) -> None:
    calibrated = replace(spec, temperature=2.5, abstain_threshold=0.4)
    write_labels(tmp_path / "labels.parquet", PseudoLabels(**{**vars(labels), "spec": calibrated}))
    trained(options)
    assert load_checkpoint(options.output).spec == spec


def test_a_student_does_not_go_on_with_other_labels(
    options: Options, labels: PseudoLabels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    begun = changed(options, train={"save_minutes": 1e-6})
    with monkeypatch.context() as patched:
        patched.setattr("motionfit.training.student.finish", stop)
        with pytest.raises(KeyboardInterrupt):
            trained(begun)
    other = PseudoLabels(**{**vars(labels), "targets": labels.targets[:, ::-1].copy()})
    write_labels(tmp_path / "labels.parquet", other)
    with pytest.raises(CheckpointError, match="begun with other videos or labels"):
        trained(replace(begun, resume=True))
    write_labels(tmp_path / "labels.parquet", labels)
    trained(replace(begun, resume=True))


def test_what_does_not_fit_together_is_refused(
    options: Options, flow: Path, spec: ClipSpec, dataset: Path, tmp_path: Path
) -> None:
    given = {"flow": flow}
    pictures = teacher(tmp_path / "pictures", spec, rgb=True)
    with pytest.raises(CheckpointError, match="takes a motion teacher"):
        trained(changed(options, match={"match": pictures, **given}))
    wide = teacher(tmp_path / "wide", spec, width=0.2)
    with pytest.raises(CheckpointError, match=r"needs the width of .*, 0\.2; got 0\.1"):
        trained(changed(options, match={"match": wide, **given}))
    with pytest.raises(DatasetError, match="labels 7 videos that are not among those"):
        trained(changed(options, source={"where": ("group=g0",)}))
    (tmp_path / "one.csv").write_text(f"path\n{read_manifest(dataset)[0].path}\n")
    with pytest.raises(DatasetError, match="labels none of the videos"):
        trained(changed(options, source={"unlabelled": tmp_path / "one.csv"}))


def test_nothing_of_a_student_is_held_out_to_wait_for() -> None:
    values: dict[str, dict[str, Any]] = {
        "source": {"labels": "labels.parquet", "unlabelled": "videos"},
        "train": {"patience": 3},
    }
    with pytest.raises(ConfigError, match="none are held out here: leave it away"):
        read_config(None, values, kind=StudentConfig)


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ({"cross_entropy": False}, "nothing to learn"),
        ({"match": "run"}, "--match and --flow are given together"),
        ({"flow": "flow"}, "--match and --flow are given together"),
    ],
)
def test_values_that_contradict_each_other_are_named(match: dict[str, Any], message: str) -> None:
    values = {"source": {"labels": "labels.parquet", "unlabelled": "videos"}, "match": match}
    with pytest.raises(ConfigError, match=message):
        read_config(None, values, kind=StudentConfig)


def test_matching_needs_labels_of_the_clips_that_flow_is_there_for(
    options: Options, flow: Path, labels: PseudoLabels, spec: ClipSpec, tmp_path: Path
) -> None:
    moved = PseudoLabels(
        **{**vars(labels), "starts_us": labels.starts_us + 1, "ends_us": labels.ends_us + 1}
    )
    write_labels(tmp_path / "labels.parquet", moved)
    match = {"match": teacher(tmp_path / "teacher", spec), "flow": flow}
    with pytest.raises(DatasetError, match="label by --granularity clip"):
        trained(changed(options, match=match))
