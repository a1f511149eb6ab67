import pytest
from torchvision.models.video import R2Plus1D_18_Weights

from motionfit.training.describe import parts_of


def test_parameters_and_flops_at_width_one_are_those_that_torchvision_states() -> None:
    stated = R2Plus1D_18_Weights.KINETICS400_V1.meta
    parts = parts_of(400, width=1.0, num_frames=16, crop=112)
    assert [part.name for part in parts] == ["stem", "layer1", "layer2", "layer3", "layer4", "fc"]
    assert sum(part.parameters for part in parts) == stated["num_params"]
    # torchvision counts a multiplication with its addition once.
    assert sum(part.flops for part in parts) / 2e9 == pytest.approx(stated["_ops"], abs=0.001)


def test_the_cost_of_a_clip_grows_with_its_frames_and_pixels() -> None:
    small, long, large = (
        sum(part.flops for part in parts_of(10, width=0.25, num_frames=frames, crop=crop))
        for frames, crop in [(8, 64), (16, 64), (8, 128)]
    )
    assert long == pytest.approx(2 * small, rel=0.01)
    assert large == pytest.approx(4 * small, rel=0.01)
