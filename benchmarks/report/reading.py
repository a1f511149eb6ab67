"""One reading of a video for both streams: RGB clips, and the pairs of pictures that flow is of.

Only what is needed is decoded, as serving does, and each picture once for both streams. So two
streams are read as fast as one knows how, and what they cost beyond the student is theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from motionfit.benchmarks.report.stages import Stopwatch
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import VideoReader
from motionfit.inference.errors import UnreadableVideo
from motionfit.inference.picture import Picture, Scaler, scaled_size
from motionfit.inference.sampling import MICROSECONDS, clip_starts, sample_times
from motionfit.training.flow_spec import FlowSpec

Grey = NDArray[np.uint8]  # (h, w)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a system needs of a video."""

    spec: ClipSpec
    num_clips: int
    rgb: bool
    flow: FlowSpec | None
    """None where no flow is computed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A picture on screen, as the streams need it."""

    seconds: float
    """When it came on screen."""
    rgb: Picture | None
    """(S, S, 3)"""
    grey: Grey | None
    """(h, w), the short side as flow is computed at"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """What was read of a video, K clips of T moments."""

    now: tuple[Shown, ...]
    """(K * T,)"""
    later: tuple[Shown, ...]
    """(K * T,) what each moment's flow leads to; empty without flow"""
    flow_size: tuple[int, int]
    """(width, height) that flow is reduced to; (0, 0) without flow"""


def read_pictures(path: Path, wanted: Wanted, *, watch: Stopwatch) -> Pictures:
    """Read a video. Raises a VideoError; also for AVI, WMV and others without usable times."""
    with watch.stage("sample"):
        file = path.open("rb")
    with file:
        with watch.stage("sample"):
            reader = VideoReader(file)
        with reader:
            return _read(reader, wanted, watch=watch)


def _read(reader: VideoReader, wanted: Wanted, *, watch: Stopwatch) -> Pictures:
    if not reader.index.trusted:
        raise UnreadableVideo("its container stores no usable times; give MP4, MKV or WebM")
    with watch.stage("sample"):
        starts = clip_starts(reader.duration_us, spec=wanted.spec, num_clips=wanted.num_clips)
        times = np.concatenate([sample_times(int(one), spec=wanted.spec) for one in starts])
        moments = times
        if wanted.flow is not None:
            later = times + round(wanted.flow.gap_seconds * MICROSECONDS)
            moments = np.concatenate([times, later])
    scalers = _Scalers(reader, wanted, watch=watch)
    scaled_ms = watch.spent_ms["scale"]
    with watch.stage("decode"):
        shown = reader.select(moments, scaler=scalers)
    watch.add("decode", ms=scaled_ms - watch.spent_ms["scale"])
    return Pictures(
        now=tuple(shown[: len(times)]),
        later=tuple(shown[len(times) :]),
        flow_size=_flow_size(reader, wanted.flow),
    )


class _Scalers:
    """Makes of a frame what each stream needs; a picture that both need is scaled twice."""

    def __init__(self, reader: VideoReader, wanted: Wanted, *, watch: Stopwatch) -> None:
        aspect, spec = reader.pixel_aspect, wanted.spec
        self._watch = watch
        self._rgb = self._flow = None
        if wanted.rgb:
            self._rgb = Scaler(short_side=spec.short_side, crop=spec.crop, pixel_aspect=aspect)
        if wanted.flow is not None:
            side = wanted.flow.compute_side
            self._flow = Scaler(short_side=side, crop=None, pixel_aspect=aspect)

    def __call__(self, frame: VideoFrame) -> Shown:
        with self._watch.stage("scale"):
            return Shown(
                seconds=frame.time or 0.0,
                rgb=self._rgb(frame) if self._rgb else None,
                grey=_grey(self._flow(frame)) if self._flow else None,
            )


def rgb_clips(shown: Sequence[Shown], *, num_clips: int) -> NDArray[np.uint8]:
    """The clips (K, T, S, S, 3) uint8 of the pictures (K * T,)."""
    pictures = np.stack([one.rgb for one in shown if one.rgb is not None])
    return pictures.reshape(num_clips, -1, *pictures.shape[1:])


def _grey(picture: Picture) -> Grey:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _flow_size(reader: VideoReader, flow: FlowSpec | None) -> tuple[int, int]:
    if flow is None:
        return (0, 0)
    info = reader.info()
    return scaled_size(info.width, info.height, short_side=flow.short_side)
