import pytest
import torch
from torch import Tensor

from motionfit.training.model import R2Plus1D
from motionfit.training.temporal import TemporalConv


def dirty_memory() -> None:
    """Leave NaN in what is freed, so that who reads memory that nobody wrote is found out."""
    sizes = [factor << power for power in range(6, 22) for factor in (1, 3)]
    del [torch.full((size,), torch.nan) for size in sizes for _ in range(3)][:]


def gradients(conv: TemporalConv, clips: Tensor, *, precision: torch.dtype | None) -> list[Tensor]:
    conv.weight.grad = clips.grad = None
    with torch.autocast("cpu", dtype=precision, enabled=precision is not None):
        out = conv(clips)
    wanted = torch.randn(out.shape, generator=torch.manual_seed(1)).to(out.dtype)
    dirty_memory()
    out.backward(wanted)  # type: ignore[no-untyped-call]
    assert conv.weight.grad is not None
    assert clips.grad is not None
    return [out.detach().float(), conv.weight.grad, clips.grad]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("moments", [1, 2, 3, 4, 8])
def test_a_convolution_over_time_and_its_gradient_are_right_in_bfloat16_too(
    moments: int, stride: int
) -> None:
    torch.manual_seed(0)
    conv = TemporalConv(36, 32, stride=stride).to(memory_format=torch.channels_last_3d)
    clips = torch.randn(8, 36, moments, 4, 4).to(memory_format=torch.channels_last_3d)
    clips.requires_grad_()
    expected = gradients(conv.eval(), clips, precision=None)
    conv.train()
    for precision, tolerance in ((None, 1e-5), (torch.bfloat16, 0.02)):
        for _ in range(5):
            found = gradients(conv, clips, precision=precision)
            for one, other in zip(found, expected, strict=True):
                assert (one - other).abs().max() <= tolerance * other.abs().max()


def test_a_network_that_trains_gives_what_it_gives_otherwise() -> None:
    torch.manual_seed(0)
    model = R2Plus1D(5, width=0.25).eval()
    clips = torch.randn(2, 3, 8, 32, 32)
    expected, _ = model(clips)
    temporal = [one for one in model.modules() if isinstance(one, TemporalConv)]
    assert len(temporal) == 17  # the stem's, and two of each of eight blocks
    for one in temporal:
        one.train()  # and no batch-norm, which would look at the batch
    torch.testing.assert_close(model(clips)[0], expected, rtol=1e-4, atol=1e-5)
