from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from motionfit.export.weights import store_weights
from motionfit.inference.errors import VerificationError
from motionfit.training.checkpoint import Checkpoint, load_checkpoint
from motionfit.training.model import R2Plus1D


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "student.safetensors"


def test_weights_are_stored_in_half_and_vectors_in_full_precision(
    checkpoint: Checkpoint, path: Path
) -> None:
    store_weights(path, checkpoint)
    original = checkpoint.model.state_dict()
    stored = load_file(path)
    assert set(stored) == set(original)
    for name, tensor in stored.items():
        if tensor.ndim >= 2:
            assert tensor.dtype == torch.float16
            assert torch.equal(tensor, original[name].half())
        else:
            assert torch.equal(tensor, original[name])


def test_what_is_returned_is_what_the_file_holds_and_a_checkpoint_like_any(
    checkpoint: Checkpoint, path: Path
) -> None:
    returned = store_weights(path, checkpoint)
    read = load_checkpoint(path)
    for name, tensor in read.model.state_dict().items():
        assert torch.equal(tensor, returned.model.state_dict()[name])
        assert tensor.dtype == checkpoint.model.state_dict()[name].dtype
    assert (read.spec, read.labels, read.width) == (
        checkpoint.spec,
        checkpoint.labels,
        checkpoint.width,
    )
    assert read.training == checkpoint.training


@pytest.mark.parametrize("value", [1e5, float("nan"), float("-inf")])
def test_a_weight_that_float16_cannot_hold_is_named(
    checkpoint: Checkpoint, path: Path, value: float
) -> None:
    model = R2Plus1D(len(checkpoint.labels), width=checkpoint.width)
    model.load_state_dict(checkpoint.model.state_dict())
    with torch.no_grad():
        model.layer3[0].conv1[0][0].weight[0, 0, 0, 0, 0] = value
    with pytest.raises(VerificationError, match=r"layer3\.0\.conv1\.0\.0\.weight"):
        store_weights(path, replace(checkpoint, model=model))
    assert not path.exists()
