"""What a child says of a video, checked before it is believed: it may have been taken over."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from motionfit.inference import errors
from motionfit.inference.decoding import VideoInfo
from motionfit.inference.errors import DecoderFailed, VideoError
from motionfit.inference.video import Clips

_LONGEST_TEXT = 1000
_ERRORS = {
    error.code: error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, VideoError)
}


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many clips the child may answer with."""

    least: int
    """In one answer."""
    most: int
    total: int
    """In the next answer and all after it."""


def clips_of(answer: Any, pixels: bytearray, *, shape: tuple[int, ...], counts: Counts) -> Clips:
    """The clips of an answer. Raises the VideoError that it tells of, and anything at a lie."""
    if "error" in answer:
        codec = answer["codec"]
        kind = _ERRORS.get(answer["error"], VideoError)
        error = kind(_text(answer["message"]), codec=codec if codec is None else _text(codec))
        if isinstance(error, DecoderFailed):
            error.add_note("\n".join(["In the decoding process:", *map(_text, answer["calls"])]))
        raise error
    frames = np.frombuffer(pixels, np.uint8).reshape(-1, *shape)
    count, left = len(frames), int(answer["left"])
    if not (counts.least <= count <= counts.most and 0 <= left <= counts.total - count):
        raise ValueError(f"{count} clips and {left} to come; expected are {counts}")
    return Clips(
        frames=frames,
        starts_us=np.array(answer["starts_us"], np.int64).reshape(count),
        info=_info_of(**answer["info"]),
        left=left,
    )


def _info_of(
    *,
    container: Any,
    codec: Any,
    width: Any,
    height: Any,
    frame_rate: Any,
    duration_seconds: Any,
    notes: Any,
) -> VideoInfo:
    return VideoInfo(
        container=_text(container),
        codec=_text(codec),
        width=int(width),
        height=int(height),
        frame_rate=None if frame_rate is None else _finite(frame_rate),
        duration_seconds=_finite(duration_seconds),
        notes=tuple(_text(note) for note in notes),
    )


def _finite(value: Any) -> float:
    if not math.isfinite(value):
        raise ValueError(f"expected is a finite number, not {value}")
    return float(value)


def _text(value: Any) -> str:
    """A short line without control characters, which may be shown on a terminal."""
    if not (isinstance(value, str) and len(value) <= _LONGEST_TEXT and value.isprintable()):
        raise ValueError(f"expected is a line of text, not {value!r:.100}")
    return value
