import pytest
import torch
from torch import nn

from motionfit.export.fold import batch_norms, folded
from motionfit.inference.errors import VerificationError
from motionfit.training.checkpoint import Checkpoint


def test_all_37_batch_norms_are_folded_and_the_outputs_stay(checkpoint: Checkpoint) -> None:
    model = checkpoint.model
    clips = torch.randn(3, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    result = folded(model)
    assert batch_norms(model) == 37  # the original is as it was
    assert batch_norms(result) == 0
    with torch.inference_mode():
        for found, expected in zip(result(clips), model(clips), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_batch_norm_that_follows_no_convolution_is_refused() -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(), nn.BatchNorm3d(4))
    with pytest.raises(VerificationError, match="0 of 1"):
        folded(model)
