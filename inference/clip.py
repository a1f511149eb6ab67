"""ClipSpec: how a video becomes a model's input. Stored with the weights, never typed in twice."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from motionfit.inference.errors import SpecError

# Channel statistics of Kinetics-400, as torchvision stores them with its R(2+1)D-18 weights.
KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """What the model takes as one clip, and how the answers of several clips become one.

    Raises SpecError, naming the value got and the values allowed, when a field is out of range.
    """

    num_frames: int
    """Frames of a clip, 1 to 256."""
    frame_rate: float
    """Sampling rate in frames per second of video time, over 0 up to 240. A clip spans
    ``num_frames / frame_rate`` seconds whatever the frame rate of the file is."""
    short_side: int
    """The short side, in pixels, that a frame is scaled to; at most 2048."""
    crop: int
    """Side, in pixels, of the square that the model sees; at most ``short_side``."""
    mean: Triple = KINETICS_MEAN
    """Per channel (R, G, B), subtracted from pixels scaled to 0..1. Part of the graph."""
    std: Triple = KINETICS_STD
    """Per channel (R, G, B), above 0. Part of the graph."""
    num_clips: int = 4
    """Clips spread over a video when the caller does not say how many, 1 to 64."""
    temperature: float = 1.0
    """Logits are divided by it before the softmax; above 0. Fitted on validation videos."""
    abstain_threshold: float = 0.0
    """A best score under it (0 up to 1) is answered with "none of these"."""

    def __post_init__(self) -> None:
        _check_integer("num_frames", self.num_frames, 1, 256)
        _check_number("frame_rate", self.frame_rate, 0.01, 240)
        _check_integer("short_side", self.short_side, 8, 2048)
        _check_integer("crop", self.crop, 8, self.short_side)
        _check_integer("num_clips", self.num_clips, 1, 64)
        _check_number("temperature", self.temperature, 0.01, 100)
        _check_number("abstain_threshold", self.abstain_threshold, 0, 1)
        _check_triple("mean", self.mean, 0.0, 1.0)
        _check_triple("std", self.std, 0.001, 1.0)

    @property
    def clip_seconds(self) -> float:
        """Length of a clip in seconds of video time."""
        return self.num_frames / self.frame_rate

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; ``from_json`` is the inverse."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """A spec from JSON values. Unknown and missing fields are errors (SpecError)."""
        known = {field.name for field in fields(cls)}
        if wrong := sorted(set(values) ^ known):
            raise SpecError(
                f"a clip spec has exactly the fields {', '.join(sorted(known))}; "
                f"unknown or missing: {', '.join(wrong)}"
            )
        frozen: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in values.items()
        }
        return cls(**frozen)


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SpecError(f"{name} must be an integer from {low} to {high}, got {value!r}")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    right_type = isinstance(value, int | float) and not isinstance(value, bool)
    if not right_type or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        raise SpecError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")


def _check_triple(name: str, value: object, low: float, high: float) -> None:
    if not isinstance(value, tuple) or len(value) != 3:
        raise SpecError(f"{name} must be three numbers (R, G, B), got {value!r}")
    for part in value:
        _check_number(name, part, low, high)
