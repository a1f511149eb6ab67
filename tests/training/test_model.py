import pytest
import torch
from torchvision.models.video import r2plus1d_18

from motionfit.inference.clip import ClipSpec
from motionfit.training.model import R2Plus1D, network_input, normalised


def test_at_width_one_torchvisions_weights_load_and_give_its_logits() -> None:
    torch.manual_seed(0)
    original = r2plus1d_18(num_classes=7).eval()
    student = R2Plus1D(7, width=1.0).eval()
    student.load_state_dict(original.state_dict(), strict=True)
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.inference_mode():
        logits, embedding = student(clips)
        torch.testing.assert_close(logits, original(clips), rtol=0, atol=0)
        assert embedding.shape == (2, 512)
        torch.testing.assert_close(student.fc(embedding), logits)


def test_a_seed_gives_the_starting_weights_that_it_gives_torchvision() -> None:
    torch.manual_seed(3)
    original = r2plus1d_18(num_classes=7).state_dict()
    torch.manual_seed(3)
    for name, tensor in R2Plus1D(7).state_dict().items():
        assert torch.equal(tensor, original[name]), name


@pytest.mark.parametrize(("width", "least", "most"), [(0.25, 1.9e6, 2.1e6), (0.5, 7.5e6, 8.5e6)])
def test_width_scales_the_number_of_parameters(width: float, least: float, most: float) -> None:
    with torch.device("meta"):
        model = R2Plus1D(10, width=width)
    assert least < sum(parameter.numel() for parameter in model.parameters()) < most


def test_width_scales_the_middle_of_the_stem_and_the_embedding() -> None:
    model = R2Plus1D(10, width=0.25).eval()
    assert model.stem[0].out_channels == 11
    assert model(torch.zeros(1, 3, 2, 16, 16))[1].shape == (1, 128)


def test_frames_are_normalised_with_the_specs_mean_and_std_per_channel() -> None:
    spec = ClipSpec(
        num_frames=2, frame_rate=5, short_side=8, crop=8, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.1)
    )
    frames = torch.full((1, 2, 8, 8, 3), 255, dtype=torch.uint8)
    clips = normalised(frames, spec=spec)
    assert (clips.shape, clips.dtype) == ((1, 3, 2, 8, 8), torch.float32)
    assert clips[0, :, 1, 3, 3].tolist() == pytest.approx([1.0, 1.0, 0.0])
    assert clips.is_contiguous(memory_format=torch.channels_last_3d)


def test_flow_is_seen_without_the_camera_and_in_square_roots() -> None:
    spec = ClipSpec(num_frames=2, frame_rate=6.0, short_side=16, crop=16)
    flow = torch.zeros(1, 2, 16, 16, 2)
    flow[..., 0] = 0.3  # the camera moves
    flow[0, 1, :8, :, 1], flow[0, 1, 8:, :, 1] = 0.09, -0.09
    seen = network_input(flow, spec=spec)
    assert seen.shape == (1, 2, 2, 16, 16)
    torch.testing.assert_close(seen[0, 0], torch.zeros(2, 16, 16), rtol=0, atol=1e-3)
    torch.testing.assert_close(seen[0, 1, 1, :8], torch.full((8, 16), 0.3))
    torch.testing.assert_close(seen[0, 1, 1, 8:], torch.full((8, 16), -0.3))


def test_mirrored_flow_is_seen_as_the_mirror_image_of_what_it_was() -> None:
    spec = ClipSpec(num_frames=2, frame_rate=6.0, short_side=16, crop=16)
    flow = torch.rand(1, 2, 16, 16, 2, generator=torch.manual_seed(0)) * 2 - 1
    mirrored = flow.flip(3) * torch.tensor([-1.0, 1.0])
    seen, other = network_input(flow, spec=spec), network_input(mirrored, spec=spec)
    turned = seen.flip(4) * torch.tensor([-1.0, 1.0])[:, None, None, None]
    torch.testing.assert_close(other, turned)
