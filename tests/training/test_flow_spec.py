from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import SpecError
from motionfit.inference.sampling import clip_starts
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.grid import grid_starts


def test_the_bound_is_20_pixels_at_256_from_frame_to_frame_of_25() -> None:
    spec = FlowSpec(short_side=256, compute_side=256, gap_seconds=1 / 25)
    assert spec.bound_px == pytest.approx(20)


def test_the_bound_grows_with_the_size_and_with_the_time() -> None:
    spec = FlowSpec(short_side=64, gap_seconds=0.1)
    assert replace(spec, short_side=128).bound_px == pytest.approx(2 * spec.bound_px)
    assert replace(spec, gap_seconds=0.2).bound_px == pytest.approx(2 * spec.bound_px)


def test_it_goes_to_json_and_back() -> None:
    spec = FlowSpec(method="farneback", gap_seconds=0.04, grid_clips=3)
    assert FlowSpec.from_json(spec.to_json()) == spec


def test_frames_rate_and_size_are_those_of_the_rgb_clips() -> None:
    clip = ClipSpec(num_frames=16, frame_rate=12.5, short_side=112, crop=96)
    spec = FlowSpec.of(clip, method="dis", compute_side=160, gap_seconds=0.08, grid_clips=5)
    assert spec.sampling == replace(clip, crop=112)
    assert (spec.compute_side, spec.gap_seconds, spec.grid_clips) == (160, 0.08, 5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "none"}, "one of dis, farneback, tvl1, raft, got 'none'"),
        ({"compute_side": 71}, "compute_side must be an integer from 72 to 2048, got 71"),
        ({"method": "raft", "compute_side": 127}, "compute_side must be an integer from 128 to"),
        ({"gap_seconds": 0}, "gap_seconds must be a number from 0.005 to 1, got 0"),
        ({"grid_clips": True}, "grid_clips must be an integer from 1 to 64, got True"),
        ({"num_frames": 0}, "num_frames must be an integer from 1 to 256, got 0"),
    ],
)
def test_values_out_of_range_are_errors_that_name_what_is_allowed(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        FlowSpec(**values)


def test_unknown_and_missing_fields_are_errors() -> None:
    values = FlowSpec().to_json()
    del values["method"]
    with pytest.raises(SpecError, match="unknown or missing: colour, method"):
        FlowSpec.from_json({**values, "colour": 1})


def test_the_grid_lies_where_recognition_looks() -> None:
    spec = FlowSpec().sampling
    starts = grid_starts(4_000_000, spec=spec, clips=8)
    np.testing.assert_array_equal(starts, clip_starts(4_000_000, spec=spec, num_clips=8))
    assert len(set(starts.tolist())) == 8
