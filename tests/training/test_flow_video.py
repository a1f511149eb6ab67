from pathlib import Path

import numpy as np
import pytest

from motionfit.training.flow_video import FlowVideo, quantised, restored, write_flow


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
    roots = (np.arange(20, 40) - 40) / 127
    np.testing.assert_allclose(clip[0].ravel(), -(roots**2), rtol=1e-6)
    np.testing.assert_array_equal(clip[1], clip[2])


def test_a_file_that_is_missing_empty_or_cut_short_is_none(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    assert FlowVideo.open(tmp_path / "b.flow") is None
    for length in (0, 5, 200, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert FlowVideo.open(path) is None


def test_storing_is_fine_where_motion_is_slow_and_cuts_beyond_the_bound() -> None:
    flow = np.linspace(-6, 6, 20001, dtype=np.float32)
    stored = restored(quantised(flow, bound_px=5)) * 5
    inside = np.abs(flow) <= 5
    # Half a step of the square root of the share.
    allowed = 5 * (np.sqrt(np.abs(flow) / 5) / 127 + 0.26 / 127**2)
    assert (np.abs(stored - flow) <= allowed)[inside].all()
    np.testing.assert_allclose(np.abs(stored[~inside]), 5)
    assert np.abs(stored - flow)[np.abs(flow) < 0.05].max() < 0.005


def test_what_is_stored_is_restored_with_its_sign() -> None:
    whole = np.arange(-127, 128, dtype=np.int8)
    np.testing.assert_array_equal(quantised(restored(whole), bound_px=1), whole)
    assert restored(np.array([0], np.int8)) == 0
