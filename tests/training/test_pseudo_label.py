"""From a teacher and unlabelled videos to a file of labels."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.training import pseudo_label as stage
from motionfit.training.config import ConfigError
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.label_quality import Quality
from motionfit.training.labelling import LabelOptions
from motionfit.training.manifest import parse_filter, read_manifest
from motionfit.training.predict import PART_VIDEOS
from motionfit.training.pseudo_label import (
    LABELS,
    PREDICTIONS,
    PseudoLabelOptions,
    pseudo_label,
)
from motionfit.training.pseudo_label_command import pseudo_label_command
from motionfit.training.pseudo_labels import PseudoLabels, read_labels
from tests.training.made_teachers import write_teacher

QUIET = Console(quiet=True)
FLOW = FlowSpec(compute_side=24, short_side=24, num_frames=2, frame_rate=6.0, grid_clips=3)


@pytest.fixture(scope="module")
def appearance(tmp_path_factory: pytest.TempPathFactory, dataset: Path, spec: ClipSpec) -> Path:
    """A teacher that sees RGB, and saw the group g0."""
    run = tmp_path_factory.mktemp("appearance") / "run"
    seen = [row for row in read_manifest(dataset) if row.columns["group"] == "g0"]
    return write_teacher(run, spec=spec, labelled=dataset, training=seen)


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory, dataset: Path, spec: ClipSpec) -> Path:
    """A teacher that sees flow, and saw nothing of the data set."""
    run = tmp_path_factory.mktemp("motion") / "run"
    return write_teacher(run, spec=spec, flow=FLOW, labelled=dataset, training=())


def labelled(
    teacher: Path, dataset: Path, output: Path, **options: Any
) -> tuple[PseudoLabels, Quality]:
    everything = {
        "teacher": teacher,
        "unlabelled": dataset,
        "output": output,
        "processes": 1,
        "command": "motionfit-train pseudo-label",
    } | options
    pseudo_label(PseudoLabelOptions(**everything), console=QUIET)
    quality = Quality.model_validate_json((output / "quality.json").read_text())
    return read_labels(output / LABELS), quality


def assert_equal(one: PseudoLabels, other: PseudoLabels) -> None:
    assert (one.videos, one.labels, one.record) == (other.videos, other.labels, other.record)
    for name in ("starts_us", "ends_us", "targets", "confidence", "entropy"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_an_rgb_teacher_labels_every_clip_of_every_video(
    appearance: Path, dataset: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    labels, quality = labelled(appearance, dataset, tmp_path, grid_clips=4)
    assert labels.videos == tuple(row.name for row in read_manifest(dataset) for _ in range(4))
    # 12 pictures in a second, clips of a third of one: in the middles of 4 parts of two thirds.
    assert labels.starts_us[:4].tolist() == pytest.approx([83333, 250000, 416667, 583333], abs=1)
    assert labels.spec == spec
    assert quality.seen is not None
    assert quality.unseen is not None
    assert (quality.seen.videos.count, quality.unseen.videos.count) == (4, 8)
    (rate,) = quality.unseen.per_frame_rate  # all are of 12 frames a second
    assert (rate.frame_rate, rate.videos) == (12.0, quality.unseen.videos)


def test_a_motion_teacher_labels_the_clips_that_flow_was_computed_for(
    motion: Path, dataset: Path, tmp_path: Path
) -> None:
    labels, quality = labelled(motion, dataset, tmp_path / "out", flow=tmp_path / "flow")
    assert len(labels.videos) == 12 * 3
    assert labels.record["flow"] == FLOW.to_json()
    assert len(list((tmp_path / "flow").glob("*.flow"))) == 12
    assert quality.seen is not None  # the run saw no video, so nobody can say which
    assert quality.unseen is None


def test_the_labels_of_two_halves_are_those_of_the_whole(
    motion: Path, dataset: Path, tmp_path: Path
) -> None:
    def targets(*where: str) -> dict[tuple[str, int], NDArray[np.float32]]:
        labels, _ = labelled(
            motion,
            dataset,
            tmp_path / f"of-{'-'.join(where)}",
            flow=tmp_path / "flow",
            where=tuple(map(parse_filter, where)),
        )
        pieces = zip(labels.videos, labels.starts_us.tolist(), strict=True)
        return dict(zip(pieces, labels.targets, strict=True))

    whole = targets()
    halves = (targets("group=g1"), targets("group=g0,g2"))
    assert [len(half) for half in halves] == [4 * 3, 8 * 3]
    together = halves[0] | halves[1]
    assert together.keys() == whole.keys()
    for piece, target in whole.items():
        np.testing.assert_allclose(together[piece], target, atol=1e-4)


def test_other_labels_of_the_same_predictions_read_no_video(
    appearance: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, _ = labelled(appearance, dataset, tmp_path)
    monkeypatch.delattr(stage, "open_cache")
    hard, _ = labelled(appearance, dataset, tmp_path, labels=LabelOptions(kind="hard"))
    np.testing.assert_array_equal(hard.best, soft.best)
    clusters, quality = labelled(
        appearance,
        dataset,
        tmp_path,
        labels=LabelOptions(kind="clusters", clusters=4, granularity="video"),
    )
    assert (len(clusters.videos), len(clusters.labels)) == (12, 4)
    assert quality.mean_entropy is None


def test_another_teacher_or_other_videos_need_another_folder(
    appearance: Path, dataset: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    labelled(appearance, dataset, tmp_path / "out")
    other = write_teacher(tmp_path / "other", spec=spec, seed=1)
    with pytest.raises(DatasetError, match="which differ in teacher"):
        labelled(other, dataset, tmp_path / "out")
    with pytest.raises(DatasetError, match="which differ in videos"):
        labelled(appearance, dataset, tmp_path / "out", where=(parse_filter("label=red"),))


def test_unreadable_videos_are_named_and_left_out(
    appearance: Path, dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    shutil.copytree(dataset / "videos", folder / "deep" / "down")
    (folder / "broken.mp4").write_bytes(b"no video at all")
    labels, quality = labelled(appearance, folder, tmp_path / "out")
    assert len(set(labels.videos)) == quality.all_videos == 12
    assert [one.partition(":")[0] for one in quality.unreadable] == ["broken.mp4"]
    again, quality = labelled(appearance, folder, tmp_path / "out")
    assert_equal(again, labels)
    assert [one.partition(":")[0] for one in quality.unreadable] == ["broken.mp4"]


def test_flags_that_do_not_fit_the_teacher_are_refused(
    appearance: Path, motion: Path, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="sees optical flow: give --flow"):
        labelled(motion, dataset, tmp_path / "out")
    with pytest.raises(ConfigError, match="sees RGB and needs no --flow"):
        labelled(appearance, dataset, tmp_path / "out", flow=tmp_path / "flow")
    with pytest.raises(ConfigError, match="leave --grid-clips away"):
        labelled(motion, dataset, tmp_path / "out", flow=tmp_path / "flow", grid_clips=4)
    assert not (tmp_path / "out").exists()


def test_real_videos_get_labels(data_dir: Path, motion: Path, tmp_path: Path) -> None:
    videos = sorted((data_dir / "ucf101_10").rglob("*.mp4"))[::200]
    for video in videos:
        (tmp_path / "videos").mkdir(exist_ok=True)
        (tmp_path / "videos" / video.name).symlink_to(video)
    labels, quality = labelled(
        motion,
        tmp_path / "videos",
        tmp_path / "out",
        flow=tmp_path / "flow",
        labels=LabelOptions(granularity="actionbytes"),
    )
    assert set(labels.videos) == {video.name for video in videos}
    assert (labels.ends_us > labels.starts_us).all()
    assert (quality.seen, quality.unseen) == (None, None)


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    made = typer.Typer()
    made.command("pseudo-label")(pseudo_label_command)
    return made


def test_the_command_writes_what_it_promises(
    app: typer.Typer, appearance: Path, dataset: Path, tmp_path: Path
) -> None:
    arguments = [
        str(appearance),
        *("--unlabelled", str(dataset), "-o", str(tmp_path / "out"), "--processes", "1"),
        *("--kind", "hard", "--per-class", "3", "--where", "group=g0,g1", "--grid-clips", "2"),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "labels.parquet",
        PREDICTIONS,
        "quality.json",
        "quality.md",
    ]
    labels = read_labels(tmp_path / "out" / LABELS)
    assert set(labels.videos) <= {
        row.name for row in read_manifest(dataset) if row.columns["group"] in ("g0", "g1")
    }
    assert np.bincount(labels.best).max() <= 3
    assert labels.record["per_class"] == 3


def test_the_command_leaves_a_folder_of_something_else_alone(
    app: typer.Typer, appearance: Path, dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").touch()
    done = CliRunner().invoke(
        app, [str(appearance), "--unlabelled", str(dataset), "-o", str(tmp_path)]
    )
    assert done.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_command_that_is_killed_goes_on_and_gives_the_same(
    appearance: Path, dataset: Path, tmp_path: Path
) -> None:
    many = tmp_path / "videos"
    many.mkdir()
    files = sorted((dataset / "videos").iterdir())
    for number in range(3 * PART_VIDEOS):
        (many / f"{number:03d}.mp4").symlink_to(files[number % len(files)])
    script = (
        "import typer; from motionfit.training.pseudo_label_command import pseudo_label_command;"
        "typer.run(pseudo_label_command)"
    )
    output = tmp_path / "killed"
    command = [
        *(sys.executable, "-c", script, str(appearance), "--unlabelled", str(many)),
        *("-o", str(output), "--batch-size", "1", "--processes", "1", "--grid-clips", "8"),
        *("--cache", str(tmp_path / "cache")),
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        first = output / PREDICTIONS / "part-00000.parquet"
        while not first.exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert not (output / LABELS).exists()
    assert len(list((output / PREDICTIONS).glob("part-*.parquet"))) < 3
    killed, _ = labelled(
        appearance, many, output, batch_size=1, grid_clips=8, labels=LabelOptions(kind="hard")
    )
    whole, _ = labelled(
        appearance,
        many,
        tmp_path / "whole",
        batch_size=1,
        grid_clips=8,
        labels=LabelOptions(kind="hard"),
    )
    assert_equal(killed, whole)
