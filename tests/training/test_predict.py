"""A teacher's answers depend on the clips alone: not on processes, batches or parts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from motionfit.inference.bundle import sha256_of
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.video import read_clips
from motionfit.training import predict as predicting
from motionfit.training.cache import open_cache
from motionfit.training.checkpoint import (
    CHECKPOINT,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from motionfit.training.config import Input
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_video import FlowVideo, write_flow
from motionfit.training.manifest import read_manifest
from motionfit.training.model import network_input
from motionfit.training.predict import PART_VIDEOS, part_count, predict, rgb_grid
from motionfit.training.predictions import About, Predictions, part_file, read_predictions
from motionfit.training.videos import Unreadable
from tests.training.made_teachers import LABELS, write_teacher

QUIET = Console(quiet=True)


def made_flow(teacher: Path, *, seed: int) -> FlowVideo:
    """Random flow of four clips, of which two are at the same time; in a file beside the teacher,
    for other processes must find it.
    """
    path = teacher.parent / f"{seed}.flow"
    if not path.exists():
        numbers = np.random.default_rng(seed)
        write_flow(
            path,
            numbers.integers(-127, 128, (8, 24, 30, 2)).astype(np.int8),
            places=np.arange(8, dtype=np.int32).reshape(4, 2),
            starts_us=np.array([0, 50_000, 50_000, 90_000], np.int64),
        )
    video = FlowVideo.open(path)
    assert video is not None
    return video


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, spec: ClipSpec) -> Path:
    flow = FlowSpec(compute_side=24, short_side=24, num_frames=2, frame_rate=6.0, grid_clips=4)
    return write_teacher(tmp_path_factory.mktemp("teacher") / "run", spec=spec, flow=flow)


def about(teacher: Path, *, videos: int) -> About:
    checkpoint = load_checkpoint(teacher)
    return About(
        teacher=sha256_of(teacher / CHECKPOINT),
        labels=LABELS,
        dimensions=checkpoint.model.fc.in_features,
        spec=checkpoint.spec,
        flow=checkpoint.flow,
        grid_clips=4,
        videos="0" * 64,
        parts=part_count(videos),
    )


def predicted(teacher: Path, folder: Path, *, videos: int = 5, **changed: Any) -> Predictions:
    arguments: dict[str, Any] = {
        "unreadable": (),
        "batch_size": 4,
        "processes": 1,
        "about": about(teacher, videos=videos),
    }
    predict(
        [(f"{n:03d}", made_flow(teacher, seed=n)) for n in reversed(range(videos))],
        teacher=teacher / CHECKPOINT,
        folder=folder,
        console=QUIET,
        **(arguments | changed),
    )
    return read_predictions(folder)


@pytest.mark.parametrize("batch_size", [3, 16])
def test_logits_are_those_of_single_clips_for_any_batch_size(
    teacher: Path, tmp_path: Path, batch_size: int
) -> None:
    single = predicted(teacher, tmp_path / "1", batch_size=1)
    several = predicted(teacher, tmp_path / "several", batch_size=batch_size)
    assert np.ptp(single.logits) > 0.1
    np.testing.assert_allclose(several.logits, single.logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(several.embeddings, single.embeddings, rtol=0, atol=1e-4)


def test_two_processes_write_the_bytes_that_one_writes(teacher: Path, tmp_path: Path) -> None:
    videos = 2 * PART_VIDEOS + 1
    for processes in (1, 2):
        predicted(teacher, tmp_path / str(processes), videos=videos, processes=processes)
    for number in range(3):
        one, two = (part_file(tmp_path / str(n), number).read_bytes() for n in (1, 2))
        assert one == two


def test_what_is_there_is_not_made_again(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = 2 * PART_VIDEOS + 1
    before = predicted(teacher, tmp_path, videos=videos)
    part_file(tmp_path, 1).unlink()
    made = []
    make = predicting.make_part
    monkeypatch.setattr(predicting, "make_part", lambda part: made.append(part.file) or make(part))
    after = predicted(teacher, tmp_path, videos=videos)
    assert made == [part_file(tmp_path, 1)]
    assert after.videos == before.videos
    np.testing.assert_array_equal(after.logits, before.logits)


def test_the_network_sees_the_central_square_of_the_flow(teacher: Path, tmp_path: Path) -> None:
    made = predicted(teacher, tmp_path, videos=1)
    clip = torch.from_numpy(made_flow(teacher, seed=0).clip(3)[:, 4:20, 7:23])
    with_spec = load_checkpoint(teacher)
    with torch.inference_mode():
        logits, embedding = with_spec.model(network_input(clip[None], spec=with_spec.spec))
    np.testing.assert_allclose(made.logits[-1], logits[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(made.embeddings[-1], embedding[0].numpy(), atol=1e-5)


def test_clips_of_one_moment_are_one_clip(teacher: Path, tmp_path: Path) -> None:
    made = predicted(teacher, tmp_path, videos=2)
    assert made.videos == ("000",) * 3 + ("001",) * 3
    assert made.starts_us.tolist() == [0, 50_000, 90_000] * 2
    assert (made.ends_us - made.starts_us).tolist() == [333_333] * 6


def test_unreadable_videos_have_a_place_but_no_clips(teacher: Path, tmp_path: Path) -> None:
    lost = tuple(Unreadable(name=f"x{n:03d}", reason="damaged") for n in range(PART_VIDEOS))
    made = predicted(
        teacher, tmp_path, unreadable=lost, about=about(teacher, videos=5 + PART_VIDEOS)
    )
    assert len(list(tmp_path.iterdir())) == 2
    assert set(made.videos) == {f"{n:03d}" for n in range(5)}
    assert made.unreadable == lost


def test_a_teacher_whose_training_failed_is_refused(
    tmp_path: Path, spec: ClipSpec, teacher: Path
) -> None:
    flow = load_checkpoint(teacher).flow
    broken = write_teacher(tmp_path / "broken", spec=spec, flow=flow)
    checkpoint = load_checkpoint(broken)
    with torch.no_grad():
        checkpoint.model.fc.bias.fill_(float("nan"))
    save_checkpoint(broken / CHECKPOINT, checkpoint)
    with pytest.raises(CheckpointError, match="no finite numbers"):
        predicted(broken, tmp_path / "predictions")
    with pytest.raises(DatasetError, match="no predictions"):
        read_predictions(tmp_path / "predictions")


def test_rgb_clips_are_those_that_serving_would_look_at(dataset: Path, spec: ClipSpec) -> None:
    rows = read_manifest(dataset)[:2]
    with open_cache(rows, short_side=spec.short_side, config=Input(), console=QUIET) as cache:
        for row, video in cache.videos:
            grid = rgb_grid(video, spec=spec, clips=spec.num_clips)
            clips = np.stack([grid.clip(n) for n in range(spec.num_clips)])
            served = read_clips(row.path, spec=spec)
            np.testing.assert_array_equal(clips[:, :, 4:20, 8:24], served.frames)
