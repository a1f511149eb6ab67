"""Which videos a run has seen."""

import shutil
from pathlib import Path

import pytest

from motionfit.inference.clip import ClipSpec
from motionfit.training.checkpoint import CheckpointError
from motionfit.training.manifest import Row, read_manifest
from motionfit.training.seen_videos import held_out_of, seen_by, use_warnings, uses_of
from motionfit.training.unlabelled import read_unlabelled
from tests.training.made_teachers import write_teacher


def split(dataset: Path) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Four videos trained on, two held out."""
    rows = read_manifest(dataset)
    return rows[:4], rows[6:8]


def run_on(dataset: Path, run: Path, spec: ClipSpec) -> Path:
    training, held_out = split(dataset)
    return write_teacher(run, spec=spec, labelled=dataset, training=training, held_out=held_out)


def test_videos_trained_on_or_held_out_are_seen(
    dataset: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    run = run_on(dataset, tmp_path / "run", spec)
    training, held_out = split(dataset)
    seen = seen_by(run, read_manifest(dataset))
    assert seen == {row.name for row in (*training, *held_out)}


def test_they_are_known_again_under_other_names_and_as_copies(
    dataset: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    run = run_on(dataset, tmp_path / "run", spec)
    others = read_unlabelled(dataset / "videos", lists=None, where=())  # without "videos/"
    names = {row.path.name for part in split(dataset) for row in part}
    assert seen_by(run, others) == names
    shutil.copytree(dataset / "videos", tmp_path / "copies")
    copies = read_unlabelled(tmp_path / "copies", lists=None, where=())
    assert seen_by(run, copies) == names


def test_another_video_of_the_same_name_is_not_seen(
    dataset: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    run = run_on(dataset, tmp_path / "run", spec)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "blue0.mp4").write_bytes(b"something else")
    assert seen_by(run, read_unlabelled(tmp_path / "others", lists=None, where=())) == frozenset()


def test_what_a_video_was_used_for_is_told_by_the_file_not_by_its_name(
    dataset: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    run = run_on(dataset, tmp_path / "run", spec)
    training, held_out = split(dataset)
    expected = {row.name: "training" for row in training}
    expected |= {row.name: "held_out" for row in held_out}
    assert uses_of(run, read_manifest(dataset)) == expected
    # The same files with other names, as a folder of videos has them.
    others = read_unlabelled(dataset / "videos", lists=None, where=())
    assert uses_of(run, others) == {Path(name).name: use for name, use in expected.items()}
    assert [row.name for row in held_out_of(run, others)] == [r.path.name for r in held_out]
    # Other videos with the same names.
    shutil.copytree(dataset, tmp_path / "later")
    for file in (tmp_path / "later" / "videos").iterdir():
        file.write_bytes(file.read_bytes() + b"and more")
    later = read_manifest(tmp_path / "later")
    assert {row.name for row in later} == {row.name for row in read_manifest(dataset)}
    assert uses_of(run, later) == {}
    with pytest.raises(CheckpointError, match="held none of these 12 videos out"):
        held_out_of(run, later)


def test_names_decide_when_the_files_of_the_run_are_gone(
    dataset: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    shutil.copytree(dataset, tmp_path / "moved")
    run = run_on(tmp_path / "moved", tmp_path / "run", spec)
    shutil.rmtree(tmp_path / "moved")
    training, held_out = split(dataset)
    assert seen_by(run, read_manifest(dataset)) == {row.name for row in (*training, *held_out)}


def test_a_checkpoint_alone_does_not_say(dataset: Path, tmp_path: Path, spec: ClipSpec) -> None:
    run = write_teacher(tmp_path / "run", spec=spec)
    assert seen_by(run / "checkpoint.safetensors", read_manifest(dataset)) is None


def test_whatever_makes_figures_better_than_on_new_videos_is_said(
    dataset: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    run = run_on(dataset, tmp_path / "run", spec)
    rows = read_manifest(dataset)
    plain = use_warnings(run, {}, rows, network="it")
    assert [sentence.partition(",")[0] for sentence in plain] == [
        "it was trained on 4 of these 12 videos",
        "it got its temperature and threshold from 2 of these 12 videos",
    ]
    record = {
        "configuration": {"train": {"patience": 2}},
        "data": {"held_out_seen_by_start": 1},
    }
    patient, started = use_warnings(run, record, rows[6:8], network="it", calibrated=False)
    assert "did best on 2 of these 2 videos (--patience)" in patient
    assert "trained on 1 of the videos that it held out" in started
    assert use_warnings(run, record, rows[8:], network="it") == ()
