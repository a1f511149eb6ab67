"""Decoders on the same frames: PyAV as the server has it, TorchCodec and OpenCV as they document.

What is asked for is the frames of the student's clips, as RGB arrays of the file's own size. A
decoder is timed on a video only if there its frames are PyAV's.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from motionfit.benchmarks.engines import SETTLE_SECONDS
from motionfit.benchmarks.reference_recipe import require_torchcodec
from motionfit.benchmarks.report.networks import made_network
from motionfit.benchmarks.report.systems import SMALL
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.result import Excluded, Result, TimedCase
from motionfit.benchmarks.rivals import Arrays, prove_equal
from motionfit.benchmarks.timing import Case, measure
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import VideoReader
from motionfit.inference.errors import BackendError
from motionfit.inference.sampling import clip_starts, frames_on_screen, sample_times
from motionfit.inference.video import read_frames

Frames = NDArray[np.uint8]  # (N, H, W, 3) RGB
TOLERANCE = 2 / 255
"""Of the brightness of each pixel: decoders may interpolate colours differently between pixels, but
a frame too early or too late shows in the brightness of some, however calm the video."""
VIDEOS = 3


def decoders_part(work: Work) -> Result:
    """Time the decoders on some of the videos: a result of kind ``report-decoders``."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    spec = made_network(SMALL, flow=False).checkpoint.spec
    videos = work.options.timed_videos()[: 1 if work.options.quick else VIDEOS]
    kept: list[Case] = []
    excluded: list[Excluded] = []
    for number, path in enumerate(videos, 1):
        name = f"{number} {path.name}"  # files of two folders may have one name
        equal, others = _rivals(name, path, spec=spec, num_clips=work.options.num_clips)
        kept += equal
        excluded += others
    samples = measure(
        kept,
        rounds=work.cell.rounds,
        warmup_rounds=work.cell.warmup_rounds,
        seed=work.seed,
        before_case=partial(time.sleep, SETTLE_SECONDS),
    )
    return work.finish(
        settings={"tolerance": TOLERANCE, "frames": spec.num_frames * work.options.num_clips},
        videos=videos,
        cases=tuple(TimedCase.of(name, ms, seed=work.seed) for name, ms in samples.items()),
        excluded=tuple(excluded),
    )


def _rivals(
    name: str, path: Path, *, spec: ClipSpec, num_clips: int
) -> tuple[tuple[Case, ...], tuple[Excluded, ...]]:
    """The decoders that give PyAV's frames of a video, and the others with the reason."""
    video = read_frames(path, short_side=16)
    starts = clip_starts(video.duration_us, spec=spec, num_clips=num_clips)
    moments = np.concatenate([sample_times(int(start), spec=spec) for start in starts])
    wanted = np.unique(frames_on_screen(moments, frame_times_us=video.times_us))
    decoders: dict[str, Callable[[], Frames]] = {
        "pyav": partial(_pyav, path, np.unique(video.times_us[wanted])),
        "torchcodec": partial(_torchcodec, path, wanted.tolist()),
        "opencv": partial(_opencv, path, wanted.tolist()),
    }
    return prove_equal(
        [Case(name=f"{name}/{decoder}", run=run) for decoder, run in decoders.items()],
        arrays=_brightness,
        tolerance=TOLERANCE,
    )


def _pyav(path: Path, times_us: NDArray[np.int64]) -> Frames:
    reformatter = VideoReformatter()  # made once: preparing a conversion takes longer than it

    def rgb(frame: VideoFrame) -> Frames:
        return np.asarray(reformatter.reformat(frame, format="rgb24").to_ndarray(), np.uint8)

    with path.open("rb") as file, VideoReader(file) as reader:
        return np.stack(reader.select(times_us, scaler=rgb))


def _torchcodec(path: Path, indices: Sequence[int]) -> Frames:
    require_torchcodec()
    decoders: Any = import_module("torchcodec.decoders")
    decoder = decoders.VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1)
    return np.asarray(decoder.get_frames_at(list(indices)).data.numpy(), np.uint8)


def _opencv(path: Path, indices: Sequence[int]) -> Frames:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    found, last = [], max(indices)
    wanted = set(indices)
    try:
        for number in range(last + 1):
            if not capture.grab():
                raise BackendError(f"OpenCV reads {number} frames, {last + 1} were expected")
            if number in wanted:
                _, picture = capture.retrieve()
                found.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    finally:
        capture.release()
    return np.asarray(np.stack(found), np.uint8)


def _brightness(frames: Frames) -> Arrays:
    grey = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in frames]
    return (np.stack(grey).astype(np.float32) / 255,)
