from pathlib import Path

import numpy as np
import pytest

from motionfit.training.flow_video import FlowVideo, quantised, write_flow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two clips of three moments that share fields."""
    fields = np.arange(4 * 2 * 5 * 2, dtype=np.int8).reshape(4, 2, 5, 2) - 40
    places = np.array([[0, 1, 2], [1, 3, 3]], np.int32)
    write_flow(tmp_path / "a.flow", fields, places=places, starts_us=np.array([7, 9]))
    return tmp_path / "a.flow"


def test_a_clip_has_its_own_fields_in_units_of_the_bound(path: Path) -> None:
    video = FlowVideo.open(path)
    assert video is not None
    assert video.shape == (2, 3, 2, 5, 2)
    assert video.num_fields == 4
    np.testing.assert_array_equal(video.starts_us, [7, 9])
    clip = video.clip(1)
    assert clip.dtype == np.float32
    np.testing.assert_allclose(clip[0].ravel(), (np.arange(20, 40) - 40) / 127, rtol=1e-6)
    np.testing.assert_array_equal(clip[1], clip[2])


def test_a_file_that_is_missing_empty_or_cut_short_is_none(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    assert FlowVideo.open(tmp_path / "b.flow") is None
    for length in (0, 5, 200, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert FlowVideo.open(path) is None


def test_storing_costs_at_most_half_a_step_within_the_bound_and_cuts_beyond_it() -> None:
    flow = np.linspace(-6, 6, 2001, dtype=np.float32)
    stored = quantised(flow, bound_px=5) * (5 / 127)
    inside = np.abs(flow) <= 5
    assert np.abs(stored - flow)[inside].max() <= 0.501 * 5 / 127
    np.testing.assert_allclose(np.abs(stored[~inside]), 5)
