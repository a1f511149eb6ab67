from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from motionfit.inference.clip import ClipSpec
from motionfit.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
    save_clips,
)
from motionfit.training.model import R2Plus1D

SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=40, crop=32, temperature=1.5)


@pytest.fixture
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    model = R2Plus1D(3, width=0.125).to(memory_format=torch.channels_last_3d)
    return Checkpoint(
        model=model, spec=SPEC, labels=("run", "wave", "été"), width=0.125, training={"seed": 3}
    )


def test_what_is_saved_is_loaded_from_the_file_and_from_its_folder(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / CHECKPOINT, checkpoint)
    clips = torch.randn(1, 3, 4, 32, 32)
    with torch.inference_mode():
        expected = checkpoint.model.eval()(clips)[0]
    for place in (tmp_path, tmp_path / CHECKPOINT):
        loaded = load_checkpoint(place)
        assert (loaded.spec, loaded.labels, loaded.training) == (
            checkpoint.spec,
            checkpoint.labels,
            checkpoint.training,
        )
        assert not loaded.model.training
        with torch.inference_mode():
            torch.testing.assert_close(loaded.model(clips)[0], expected)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


@pytest.mark.parametrize("content", [None, b"", b"not safetensors at all"])
def test_a_missing_or_damaged_checkpoint_is_an_error_that_names_it(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "student.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"student\.safetensors"):
        load_checkpoint(path)


def test_a_safetensors_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clips.safetensors"
    frames = torch.zeros(2, 4, 32, 32, 3, dtype=torch.uint8)
    save_clips(path, frames=frames, labels=torch.tensor([1, -1]))
    assert load_file(path)["labels"].tolist() == [1, -1]
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_checkpoint(path)


def test_a_failed_write_leaves_nothing_behind(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).mkdir()
    with pytest.raises(OSError, match="directory"):
        save_checkpoint(tmp_path / CHECKPOINT, checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
