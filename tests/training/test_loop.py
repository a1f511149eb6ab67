import pytest
import torch

from motionfit.inference.clip import ClipSpec
from motionfit.training.loop import warmup_then_cosine
from motionfit.training.model import normalised


def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine_to_zero() -> None:
    factor = warmup_then_cosine(100, warmup=0.1)
    assert [factor(step) for step in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert factor(55) == pytest.approx(0.5)
    assert factor(100) == pytest.approx(0.0)


def test_frames_are_normalised_with_the_specs_mean_and_std_per_channel() -> None:
    spec = ClipSpec(
        num_frames=2, frame_rate=5, short_side=8, crop=8, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.1)
    )
    frames = torch.full((1, 2, 8, 8, 3), 255, dtype=torch.uint8)
    clips = normalised(frames, spec=spec)
    assert (clips.shape, clips.dtype) == ((1, 3, 2, 8, 8), torch.float32)
    assert clips[0, :, 1, 3, 3].tolist() == pytest.approx([1.0, 1.0, 0.0])
    assert clips.is_contiguous(memory_format=torch.channels_last_3d)
