"""One real video, encoded again: longer or shorter, larger or smaller."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from motionfit.inference.video import read_frames
from motionfit.training.whole_files import written_whole

FRAME_RATE = 25
KEY_FRAME_EVERY = 50
QUALITY = "23"  # of x264, its default
ASPECT = Fraction(16, 9)


def variant(folder: Path, source: Path, *, height: int, seconds: float) -> Path:
    """The file in ``folder`` with the pictures of ``source`` at another size and length, made if it
    is not there: H.264, 16:9, 25 frames a second, a key frame every two seconds.

    The pictures start again when they are over. Enlarged ones hold no more detail than before, so
    they decode a little faster than a film of that size.
    """
    path = folder / f"{source.stem}-{height}p-{seconds:g}s.mp4"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        pictures = read_frames(source, short_side=height).frames
        with written_whole(path) as unfinished:
            _encode(unfinished, pictures, height=height, count=round(seconds * FRAME_RATE))
    return path


def _encode(path: Path, pictures: NDArray[np.uint8], *, height: int, count: int) -> None:
    width = 2 * round(height * ASPECT / 2)
    with av.open(str(path), mode="w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": QUALITY, "preset": "veryfast", "g": str(KEY_FRAME_EVERY)}
        for picture in islice(_endless(pictures), count):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(width=width, height=height)))
        container.mux(stream.encode(None))


def _endless(pictures: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Forwards and backwards, so that there is no cut."""
    return cycle([*pictures, *pictures[-2:0:-1]])
