import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionfit.export.clips import (
    MAX_CLIPS,
    SAMPLE_CLIPS,
    clips_of_run,
    clips_of_videos,
    find_clips,
    sample_clips,
)
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import NotAVideo, VerificationError
from motionfit.inference.video import read_clips
from motionfit.training.checkpoint import CHECKPOINT, CLIPS, save_clips


def test_the_clips_of_a_run_are_found_by_folder_and_by_checkpoint_file(
    run_folder: Path, spec: ClipSpec
) -> None:
    by_folder = clips_of_run(run_folder, spec=spec)
    assert by_folder.sha256 == clips_of_run(run_folder / CHECKPOINT, spec=spec).sha256
    assert by_folder.frames.dtype == np.uint8
    assert by_folder.frames.shape[1:] == (4, 32, 32, 3)


def test_a_checkpoint_without_clips_says_what_to_do(
    run_folder: Path, spec: ClipSpec, tmp_path: Path
) -> None:
    shutil.copy(run_folder / CHECKPOINT, tmp_path)
    with pytest.raises(VerificationError, match="--clips"):
        clips_of_run(tmp_path, spec=spec)


def test_clips_of_another_spec_are_refused(run_folder: Path, spec: ClipSpec) -> None:
    with pytest.raises(VerificationError, match=r"expected uint8 \(N, 8, 32, 32, 3\)"):
        clips_of_run(run_folder, spec=replace(spec, num_frames=8))


def test_a_damaged_clips_file_is_one_clear_error(tmp_path: Path, spec: ClipSpec) -> None:
    (tmp_path / CLIPS).write_bytes(b"not safetensors at all")
    with pytest.raises(VerificationError, match="cannot be read"):
        clips_of_run(tmp_path, spec=spec)


def test_classes_that_training_knew_are_known(
    run_folder: Path, spec: ClipSpec, tmp_path: Path
) -> None:
    frames = clips_of_run(run_folder, spec=spec).frames[:3]
    save_clips(tmp_path / CLIPS, frames=torch.from_numpy(frames), labels=torch.tensor([2, -1, 0]))
    found = clips_of_run(tmp_path, spec=spec, labels=["walk", "run", "jump"])
    assert found.true == ("jump", None, "walk")
    assert clips_of_run(tmp_path, spec=spec).true == (None, None, None)
    with pytest.raises(VerificationError, match="of another checkpoint"):
        clips_of_run(tmp_path, spec=spec, labels=["walk", "run"])


def test_what_is_named_comes_first_then_what_is_stored_then_the_sample(
    run_folder: Path, videos: list[Path], spec: ClipSpec, tmp_path: Path
) -> None:
    def source(path: Path, *named: Path) -> str:
        return find_clips(path, spec=spec, labels=(), videos=named).source

    assert source(run_folder, videos[0]) == "--clips: 1 videos"
    assert source(run_folder) == CLIPS
    assert source(tmp_path) == sample_clips(spec=spec).source


def test_the_sample_is_a_small_real_video(spec: ClipSpec) -> None:
    found = sample_clips(spec=spec)
    assert found.frames.shape == (SAMPLE_CLIPS, 4, 32, 32, 3)
    assert found.true == (None,) * SAMPLE_CLIPS
    assert "sample.mp4" in found.source
    assert len({clip.tobytes() for clip in found.frames}) == SAMPLE_CLIPS
    assert found.frames.std() > 20  # a picture of something


def test_a_folder_per_class_says_what_is_true(
    videos: list[Path], spec: ClipSpec, tmp_path: Path
) -> None:
    for folder in ("walk", "fly"):
        (tmp_path / folder).mkdir()
        shutil.copy(videos[0], tmp_path / folder)
    found = clips_of_videos([tmp_path], spec=spec, labels=["walk", "run"])
    assert sorted(map(str, found.true)) == ["None"] * 4 + ["walk"] * 4
    named = clips_of_videos([tmp_path / "walk" / videos[0].name], spec=spec, labels=["walk", "run"])
    assert named.true == ("walk",) * 4
    with pytest.raises(ValueError, match="2 classes for 4 clips"):
        replace(named, true=("walk", "run"))


def test_a_video_gives_the_clips_that_serving_would_see(videos: list[Path], spec: ClipSpec) -> None:
    found = clips_of_videos(videos[:1], spec=spec)
    np.testing.assert_array_equal(found.frames, read_clips(videos[0], spec=spec).frames)


def test_a_folder_gives_many_videos_and_passes_over_other_files(
    videos: list[Path], spec: ClipSpec, tmp_path: Path
) -> None:
    for index in range(MAX_CLIPS + 1):
        (tmp_path / f"{index:02}.video").symlink_to(videos[index % len(videos)])
    (tmp_path / ".hidden").write_text("not looked at")
    found = clips_of_videos([tmp_path], spec=spec)
    assert len(found.frames) == MAX_CLIPS
    assert found.sha256 == clips_of_videos([tmp_path], spec=spec).sha256
    for path in sorted(tmp_path.iterdir())[3:]:
        path.unlink()
    (tmp_path / "notes.txt").write_text("A note, no video.\n" * 100)
    assert 0 < len(clips_of_videos([tmp_path], spec=spec).frames) <= 4 * spec.num_clips


def test_notes_beside_the_videos_cost_no_clips(
    videos: list[Path], spec: ClipSpec, tmp_path: Path
) -> None:
    for index, video in enumerate(videos[:3]):
        (tmp_path / f"{index}.video").symlink_to(video)
    alone = clips_of_videos([tmp_path], spec=spec)
    for index in range(3 * MAX_CLIPS):
        (tmp_path / f"{index}.txt").write_text("A note, no video.\n" * 10)
    beside = clips_of_videos([tmp_path], spec=spec)
    assert beside.source == alone.source == "--clips: 3 videos"
    assert len(beside.frames) == len(alone.frames) == 3 * spec.num_clips


def test_a_named_file_that_is_no_video_is_named(tmp_path: Path, spec: ClipSpec) -> None:
    note = tmp_path / "notes.txt"
    note.write_text("A note, no video.\n" * 100)
    with pytest.raises(NotAVideo, match=r"notes\.txt"):
        clips_of_videos([note], spec=spec)
    with pytest.raises(VerificationError, match="no video"):
        clips_of_videos([tmp_path], spec=spec)
