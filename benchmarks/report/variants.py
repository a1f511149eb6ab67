"""One real video, encoded again: longer or shorter, larger or smaller."""

from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np
from av import VideoFrame

from motionfit.inference.decoding import VideoReader
from motionfit.inference.sampling import MICROSECONDS
from motionfit.training.whole_files import written_whole

FRAME_RATE = 25
KEY_FRAME_EVERY = 50
SOURCE_SECONDS = 4
QUALITY = "23"  # of x264, its default
ASPECT = Fraction(16, 9)


def variant(folder: Path, source: Path, *, height: int, seconds: float) -> Path:
    """The file in ``folder`` with the pictures of ``source`` at another size and length, made if it
    is not there: H.264, 16:9, 25 frames a second, a key frame every two seconds.

    The first seconds are shown forwards and backwards again and again. Enlarged ones hold no more
    detail than before, so they decode a little faster than a film of that size.
    """
    path = folder / f"{source.stem}-{height}p-{seconds:g}s.mp4"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as unfinished:
            _encode(unfinished, _frames(source), height=height, count=round(seconds * FRAME_RATE))
    return path


def _frames(source: Path) -> list[VideoFrame]:
    """The first seconds of a video, at its own size."""
    with source.open("rb") as file, VideoReader(file) as reader:
        end_us = min(reader.duration_us, SOURCE_SECONDS * MICROSECONDS)
        times_us = np.arange(0, end_us, MICROSECONDS // FRAME_RATE)
        return reader.select(times_us, scaler=lambda frame: frame)


def _encode(path: Path, frames: list[VideoFrame], *, height: int, count: int) -> None:
    width = 2 * round(height * ASPECT / 2)
    # Forwards and backwards, so that there is no cut.
    endless = cycle([*frames, *frames[-2:0:-1]])
    with av.open(str(path), mode="w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": QUALITY, "preset": "veryfast", "g": str(KEY_FRAME_EVERY)}
        for number, frame in enumerate(islice(endless, count)):
            scaled = frame.reformat(width=width, height=height, format="yuv420p")
            scaled.pts, scaled.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(scaled))
        container.mux(stream.encode(None))
