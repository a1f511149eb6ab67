"""FlowSpec: how a video becomes clips of optical flow. Stored with a network that takes flow."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import SpecError

FlowMethod = Literal["dis", "farneback", "tvl1", "raft"]

BOUND_SHARE_PER_SECOND = 20 * 25 / 256
"""The fastest motion that is told from faster ones: 20 pixels from frame to frame of a 25 fps video
whose short side is 256, as two-stream networks (Simonyan and Zisserman 2014) bound it; here as
short sides a second, so that it holds for any size and any time between frames."""
RAFT_LEAST_SIDE = 128
"""RAFT compares features at an eighth of the size, down to an eighth of that."""


@dataclass(frozen=True, kw_only=True)
class FlowSpec:
    """Which flow, at which moments of a video, and in which unit.

    Raises SpecError, naming the value got and the values allowed, when a field is out of range.
    """

    method: FlowMethod = "dis"
    """DIS, Farneback and TV-L1 are OpenCV's, RAFT is torchvision's ``raft_small``."""
    compute_side: int = 128
    """Short side, in pixels, at which flow is computed: 16 to 2048, at least ``short_side``, for
    RAFT at least 128."""
    gap_seconds: float = 0.1
    """A field says how far things move in so many seconds of video time: 0.005 to 1. It is computed
    from the frame on screen to the one about so much later."""
    short_side: int = 72
    """Short side, in pixels, to which flow is then reduced: that of the RGB clips, 8 to 2048."""
    num_frames: int = 8
    """Fields of a clip, 1 to 256."""
    frame_rate: float = 10.0
    """Fields per second of video time, 0.01 to 240."""
    grid_clips: int = 8
    """Clips of a video, 1 to 64, spread over it as ``grid.grid_starts`` says."""

    def __post_init__(self) -> None:
        if self.method not in get_args(FlowMethod):
            allowed = ", ".join(get_args(FlowMethod))
            raise SpecError(f"the method of flow is one of {allowed}, got {self.method!r}")
        least = max(self.short_side, RAFT_LEAST_SIDE if self.method == "raft" else 16)
        _check_range("compute_side", self.compute_side, least, 2048, whole=True)
        _check_range("gap_seconds", self.gap_seconds, 0.005, 1)
        _check_range("grid_clips", self.grid_clips, 1, 64, whole=True)
        self.sampling  # noqa: B018 checks the other fields

    @property
    def sampling(self) -> ClipSpec:
        """The moments at which a clip looks; its crop is all of the short side."""
        return ClipSpec(
            num_frames=self.num_frames,
            frame_rate=self.frame_rate,
            short_side=self.short_side,
            crop=self.short_side,
        )

    @property
    def bound_px(self) -> float:
        """The largest displacement that is kept, in pixels at ``short_side``; larger ones are cut
        to it. 20 at a short side of 256 in 1/25 s, in proportion to size and time.
        """
        return BOUND_SHARE_PER_SECOND * self.short_side * self.gap_seconds

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; ``from_json`` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """A spec from JSON values. Unknown and missing fields are errors (SpecError)."""
        known = {field.name for field in fields(cls)}
        if wrong := sorted(set(values) ^ known):
            raise SpecError(
                f"a flow spec has exactly the fields {', '.join(sorted(known))}; "
                f"unknown or missing: {', '.join(wrong)}"
            )
        return cls(**values)

    @classmethod
    def of(
        cls,
        clip: ClipSpec,
        *,
        method: FlowMethod,
        compute_side: int,
        gap_seconds: float,
        grid_clips: int,
    ) -> Self:
        """Flow for clips that look at the moments, and have the short side, of ``clip``."""
        return cls(
            method=method,
            compute_side=compute_side,
            gap_seconds=gap_seconds,
            short_side=clip.short_side,
            num_frames=clip.num_frames,
            frame_rate=clip.frame_rate,
            grid_clips=grid_clips,
        )


def _check_range(name: str, value: object, low: float, high: float, *, whole: bool = False) -> None:
    kind = int if whole else int | float
    right = isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high
    if not right:
        what = "an integer" if whole else "a number"
        raise SpecError(f"{name} must be {what} from {low:g} to {high:g}, got {value!r}")
