import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motionfit.benchmarks.reference_recipe import (
    reference_contender,
    reference_dataset,
    require_torchcodec,
    too_short,
)
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError, MissingExtra
from motionfit.training.manifest import Row, read_manifest
from motionfit.training.model import R2Plus1D, normalised

SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, make_clip: Callable[..., Path]) -> list[Row]:
    """Three red and three blue videos of 15 frames; a blue one of 5, which is 2 at 10 a second."""
    try:
        require_torchcodec()
    except MissingExtra as error:
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("videos")
    for number in range(3):
        make_clip(root / "red" / f"{number}.mp4", colour="red")
        make_clip(root / "blue" / f"{number}.mp4", colour="blue")
    make_clip(root / "blue" / "short.mp4", colour="blue", seconds=0.2)
    return list(read_manifest(root))


def test_torchvision_gets_the_same_videos_and_classes(rows: list[Row], tmp_path: Path) -> None:
    dataset = reference_dataset(rows, spec=SPEC, folder=tmp_path)
    assert too_short(dataset) == 1
    assert [Path(path).resolve() for path, _ in dataset.samples] == [row.path for row in rows]
    assert [label for _, label in dataset.samples] == [row.label == "red" for row in rows]
    # 6 frames at 10 a second in each long video: clips of 4 start at 3 places.
    assert len(dataset.video_clips) == 18


def test_a_clip_is_the_frames_at_the_sampling_rate_normalised(
    rows: list[Row], tmp_path: Path
) -> None:
    dataset = reference_dataset(rows, spec=SPEC, folder=tmp_path)
    clip, _, label = dataset[len(dataset.video_clips) - 1]
    assert label == 1
    assert (clip.shape, clip.dtype) == ((3, 4, 32, 32), torch.float32)
    red = (np.array([230, 20, 20]) / 255 - SPEC.mean) / SPEC.std
    np.testing.assert_allclose(clip.mean((1, 2, 3)), red, atol=0.3)


def test_its_fixed_steps_make_of_frames_what_ours_do(rows: list[Row], tmp_path: Path) -> None:
    contender = reference_contender(
        R2Plus1D(2, width=0.0625),
        reference_dataset(rows, spec=SPEC, folder=tmp_path),
        spec=SPEC,
        batch_size=4,
        workers=0,
        device=torch.device("cpu"),
    )
    frames = torch.randint(0, 256, (2, 4, 32, 32, 3), dtype=torch.uint8)
    torch.testing.assert_close(contender.prepared(frames), normalised(frames, spec=SPEC))
    clips, labels = next(contender.batches)
    assert (clips.shape, labels.shape) == ((4, 3, 4, 32, 32), (4,))
    contender.close()


def test_batches_go_on_after_an_epoch_all_of_one_size(rows: list[Row], tmp_path: Path) -> None:
    contender = reference_contender(
        R2Plus1D(2, width=0.0625),
        reference_dataset(rows, spec=SPEC, folder=tmp_path),
        spec=SPEC,
        batch_size=7,
        workers=0,
        device=torch.device("cpu"),
    )
    # 18 clips an epoch: two batches of 7, then the next epoch.
    assert [len(next(contender.batches)[1]) for _ in range(5)] == [7] * 5
    contender.close()


def test_videos_that_are_all_too_short_are_an_error(rows: list[Row], tmp_path: Path) -> None:
    short = [row for row in rows if "short" in row.name]
    with pytest.raises(DatasetError, match="needs 4 frames at 10 a second"):
        reference_dataset(short, spec=SPEC, folder=tmp_path)


def test_a_video_that_torchvision_cannot_read_is_an_error(rows: list[Row], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    strange = Row(path=broken, name="broken.mp4", label="red", columns={})
    with pytest.raises(DatasetError, match="torchvision cannot read"):
        reference_dataset([*rows, strange], spec=SPEC, folder=tmp_path / "links")


def test_without_torchcodec_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    with pytest.raises(MissingExtra, match="pip install torchcodec"):
        require_torchcodec()
