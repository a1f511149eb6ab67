"""ClipSpec: checked on the way in, the same on the way out."""

import dataclasses
import json
import math
from typing import Any

import pytest

from motionfit.inference.clip import KINETICS_MEAN, KINETICS_STD, ClipSpec
from motionfit.inference.errors import SpecError

SPEC = ClipSpec(num_frames=8, frame_rate=10.0, short_side=72, crop=64)
VALUES: dict[str, Any] = {
    "num_frames": 8,
    "frame_rate": 10.0,
    "short_side": 72,
    "crop": 64,
    "mean": [0.43216, 0.394666, 0.37645],
    "std": [0.22803, 0.22145, 0.216989],
    "num_clips": 4,
    "temperature": 1.0,
    "abstain_threshold": 0.0,
}


def test_its_json_is_this() -> None:
    assert SPEC.to_json() == VALUES
    assert json.loads(json.dumps(SPEC.to_json())) == VALUES


def test_json_comes_back_as_the_same_spec() -> None:
    spec = dataclasses.replace(
        SPEC, frame_rate=12.5, num_clips=1, temperature=1.7, abstain_threshold=0.31
    )
    assert ClipSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_defaults_are_kinetics_statistics_four_clips_and_no_abstaining() -> None:
    assert (SPEC.mean, SPEC.std) == (KINETICS_MEAN, KINETICS_STD)
    assert (SPEC.num_clips, SPEC.temperature, SPEC.abstain_threshold) == (4, 1.0, 0.0)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SPEC.crop = 32  # type: ignore[misc]


def test_a_clip_spans_frames_by_rate_whatever_the_file() -> None:
    assert SPEC.clip_seconds == 0.8
    assert dataclasses.replace(SPEC, num_frames=32, frame_rate=12.5).clip_seconds == 2.56


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("num_frames", 0, "an integer from 1 to 256"),
        ("num_frames", 257, "an integer from 1 to 256"),
        ("num_frames", 8.0, "an integer from 1 to 256"),
        ("num_frames", True, "an integer from 1 to 256"),
        ("num_frames", "8", "an integer from 1 to 256"),
        ("frame_rate", 0, "a number from 0.01 to 240"),
        ("frame_rate", -10.0, "a number from 0.01 to 240"),
        ("frame_rate", 241.0, "a number from 0.01 to 240"),
        ("frame_rate", math.nan, "a number from 0.01 to 240"),
        ("frame_rate", math.inf, "a number from 0.01 to 240"),
        ("frame_rate", "10", "a number from 0.01 to 240"),
        ("frame_rate", None, "a number from 0.01 to 240"),
        ("short_side", 7, "an integer from 8 to 2048"),
        ("short_side", 2049, "an integer from 8 to 2048"),
        ("crop", 7, "an integer from 8 to 72"),
        ("crop", 73, "an integer from 8 to 72"),
        ("num_clips", 0, "an integer from 1 to 64"),
        ("num_clips", 65, "an integer from 1 to 64"),
        ("temperature", 0.0, "a number from 0.01 to 100"),
        ("temperature", math.nan, "a number from 0.01 to 100"),
        ("abstain_threshold", -0.1, "a number from 0 to 1"),
        ("abstain_threshold", 1.5, "a number from 0 to 1"),
        ("mean", (0.5, 0.5), "three numbers (R, G, B)"),
        ("mean", 0.5, "three numbers (R, G, B)"),
        ("mean", (0.5, 0.5, 1.1), "a number from 0 to 1"),
        ("std", (0.5, 0.5, 0.0), "a number from 0.001 to 1"),
        ("std", (0.5, 0.5, "x"), "a number from 0.001 to 1"),
    ],
)
def test_a_field_out_of_range_is_named_with_what_was_got_and_what_is_allowed(
    field: str, value: Any, allowed: str
) -> None:
    with pytest.raises(SpecError) as caught:
        dataclasses.replace(SPEC, **{field: value})
    message = str(caught.value)
    assert message.startswith(f"{field} must be {allowed}, got ")
    wrong = value[-1] if isinstance(value, tuple) and len(value) == 3 else value
    assert message.endswith(repr(wrong))
    assert "\n" not in message


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({**VALUES, "fps": 10}, "fps"),
        ({name: value for name, value in VALUES.items() if name != "crop"}, "crop"),
        ({}, "abstain_threshold, crop"),
    ],
)
def test_json_with_unknown_or_missing_fields_is_refused(values: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError) as caught:
        ClipSpec.from_json(values)
    assert f"unknown or missing: {named}" in str(caught.value)
    assert "exactly the fields abstain_threshold, crop, frame_rate, mean" in str(caught.value)


def test_json_values_are_checked_like_any_other() -> None:
    with pytest.raises(SpecError, match="mean must be three numbers"):
        ClipSpec.from_json({**VALUES, "mean": [0.5, 0.5]})
