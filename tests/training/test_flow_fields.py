from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionfit.inference.sampling import sample_times
from motionfit.inference.video import Frames, read_frames
from motionfit.training.flow_fields import displacement, flow_fields
from motionfit.training.flow_methods import flow_function
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.grid import grid_starts
from motionfit.training.retime import retimed
from tests.training.flow_videos import FRAME_US, moving, video_of

FILM = "ucf101_10/JavelinThrow/v_JavelinThrow_g23_c01.mp4"  # 25 frames a second, no copies
SPEC = FlowSpec(short_side=64, grid_clips=3, num_frames=4)

Floats = NDArray[np.float64]


def flow_of(video: Frames, spec: FlowSpec = SPEC) -> Floats:
    """(G, T, h, w, 2), in pixels at the short side."""
    made = flow_fields(video, spec=spec)
    return np.asarray(made.fields[made.places], np.float64)


def likeness(a: Floats, b: Floats) -> float:
    """Correlation of both components, away from the edges."""
    one, other = (np.asarray(flow)[..., 6:-6, 6:-6, :].ravel() for flow in (a, b))
    return float(np.corrcoef(one, other)[0, 1])


def strength(flow: Floats) -> Floats:
    """Mean speed of each field, (G, T)."""
    return np.asarray(np.linalg.norm(flow, axis=-1).mean(axis=(2, 3)))


@pytest.fixture(scope="module")
def film(data_dir: Path) -> Frames:
    return read_frames(data_dir / FILM, short_side=128)


def test_a_known_motion_is_found_in_pixels_of_the_short_side_in_the_gap() -> None:
    flow = flow_of(video_of(moving(30, right=1.5, down=-0.5)))
    assert flow.shape == (3, 4, 64, 80, 2)
    expected = np.array([1.5, -0.5]) * (SPEC.gap_seconds * 25) * (64 / 128)
    inside = flow[:, :, 8:-8, 8:-8]
    np.testing.assert_allclose(np.median(inside, axis=(2, 3)), [[expected] * 4] * 3, atol=0.1)


def test_the_gap_is_the_time_in_which_things_move_that_far() -> None:
    video = video_of(moving(30, right=1, down=0))
    for gap_seconds in (0.04, 0.1, 0.2):
        flow = flow_of(video, replace(SPEC, gap_seconds=gap_seconds))[:, :, 8:-8, 8:-8, 0]
        assert np.median(flow) == pytest.approx(gap_seconds * 25 / 2, abs=0.1)


def test_a_flipped_video_has_flipped_flow_with_the_horizontal_component_negated(
    film: Frames,
) -> None:
    mirrored = flow_of(replace(film, frames=np.ascontiguousarray(film.frames[:, :, ::-1])))
    flow = flow_of(film)
    assert likeness(mirrored[:, :, :, ::-1] * [-1, 1], flow) > 0.98
    assert likeness(mirrored[:, :, :, ::-1], flow) < 0, "the sign matters"


def test_a_video_twice_as_large_has_flow_twice_as_large_and_the_same_after_reduction(
    film: Frames, data_dir: Path
) -> None:
    large = read_frames(data_dir / FILM, short_side=2 * 128)
    compute = flow_function("dis")
    twice, once = (compute(video.frames[20], video.frames[22]) for video in (large, film))
    assert np.abs(twice).mean() == pytest.approx(2 * np.abs(once).mean(), rel=0.1)
    reduced_large, flow = flow_of(large, replace(SPEC, compute_side=256)), flow_of(film)
    assert likeness(reduced_large, flow) > 0.95
    assert np.abs(reduced_large).mean() == pytest.approx(np.abs(flow).mean(), rel=0.05)


def test_reducing_scales_each_component_by_its_own_side_and_time() -> None:
    flow = np.full((128, 171, 2), 8, np.float32)
    smaller = displacement(flow, size=(96, 64), seconds=SPEC.gap_seconds / 2, spec=SPEC)
    assert smaller.shape == (64, 96, 2)
    np.testing.assert_allclose(smaller[5, 5], [16 * 96 / 171, 8], rtol=1e-6)


def test_a_film_stored_at_30_has_the_flow_that_it_has_at_25(film: Frames) -> None:
    at_30 = retimed(film.times_us, duration_us=film.duration_us, rate=Fraction(30_000, 1_001))
    stored = replace(
        film,
        frames=film.frames[at_30.sources],
        times_us=at_30.times_us,
        duration_us=at_30.duration_us,
    )
    change = np.abs(np.log(strength(flow_of(stored)) / strength(flow_of(film))))
    assert change.mean() < 0.1


def test_clips_start_on_the_grid_and_look_when_rgb_clips_look(film: Frames) -> None:
    made = flow_fields(film, spec=SPEC)
    starts = grid_starts(film.duration_us, spec=SPEC.sampling, clips=3)
    np.testing.assert_array_equal(made.starts_us, starts)
    compute = flow_function("dis")
    moment = sample_times(int(starts[1]), spec=SPEC.sampling)[2]
    frame = int(moment // FRAME_US)
    found = flow_of(film)[1, 2]
    size = (found.shape[1], found.shape[0])
    candidates = []
    for later in (2, 3):
        flow = compute(film.frames[frame], film.frames[frame + later])
        expected = displacement(flow, size=size, seconds=later * FRAME_US / 1e6, spec=SPEC)
        candidates.append(np.abs(expected - found).max())
    assert min(candidates) == 0


@pytest.mark.parametrize("frames", [1, 20])
def test_a_still_picture_has_zero_flow(frames: int) -> None:
    still = np.repeat(moving(1, right=0, down=0), frames, axis=0)
    made = flow_fields(video_of(still), spec=SPEC)
    assert made.fields.shape == (1, 64, 80, 2)
    assert not made.fields.any()
    assert made.places.shape == (3, 4)


def test_a_video_shorter_than_a_clip_ends_with_its_last_motion() -> None:
    flow = flow_of(video_of(moving(6, right=2, down=0)), replace(SPEC, num_frames=8))
    assert np.median(flow[:, -1, 8:-8, 8:-8, 0]) == pytest.approx(2.5, abs=0.1)
