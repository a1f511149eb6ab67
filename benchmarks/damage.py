"""Real videos in many containers, and the same ones damaged: the same bytes at every run."""

import io
import random

import av
import numpy as np
from av import VideoStream
from numpy.typing import NDArray

# (suffix, FFmpeg's name of the container, codec)
CONTAINERS = (
    ("mp4", "mp4", "libx264"),
    ("mov", "mov", "mjpeg"),
    ("mkv", "matroska", "libx265"),
    ("webm", "webm", "libvpx-vp9"),
    ("avi", "avi", "mpeg4"),
    ("ts", "mpegts", "mpeg2video"),
    ("mpg", "mpeg", "mpeg1video"),
    ("flv", "flv", "flv"),
    ("wmv", "asf", "wmv2"),
    ("gif", "gif", "gif"),
)
_PIXEL_FORMATS = {"mjpeg": "yuvj420p", "gif": "rgb8"}
_OPTIONS = {
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=0:pools=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}


def remade(frames: NDArray[np.uint8]) -> dict[str, bytes]:
    """Videos of ``frames`` (F, h, w, 3), h and w even, at 25 frames per second, by file name."""
    return {
        f"remade.{suffix}": encoded(frames, container=container, codec=codec)
        for suffix, container, codec in CONTAINERS
    }


def encoded(frames: NDArray[np.uint8], *, container: str, codec: str) -> bytes:
    """A video of ``frames``, as FFmpeg calls its container and codec."""
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format=container) as output:
        stream = output.add_stream(codec, rate=25, options=_OPTIONS.get(codec, {}))
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = _PIXEL_FORMATS.get(codec, "yuv420p")
        for picture in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def damaged(content: bytes, *, seed: str) -> bytes:
    """``content`` with one kind of damage, chosen and placed by ``seed``."""
    rng = random.Random(seed)
    data = bytearray(content)
    rng.choice(_DAMAGES)(data, rng)
    return bytes(data)


def _flip_few_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _flip_many_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(len(data) // 200):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(1, len(data)) :]


def _zero(data: bytearray, rng: random.Random) -> None:
    chunk = _chunk(data, rng)
    data[chunk] = bytes(len(data[chunk]))


def _remove(data: bytearray, rng: random.Random) -> None:
    del data[_chunk(data, rng)]


def _duplicate(data: bytearray, rng: random.Random) -> None:
    copy = data[_chunk(data, rng)]
    place = rng.randrange(len(data))
    data[place:place] = copy


def _edit_header(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 16)):
        value = rng.choice([0, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        data[rng.randrange(min(600, len(data)))] = value


def _enlarge_number(data: bytearray, rng: random.Random) -> None:
    size = rng.choice([2, 4, 8])
    start = rng.randrange(len(data) - size)
    data[start : start + size] = b"\x7f" + b"\xff" * (size - 1)


def _chunk(data: bytearray, rng: random.Random) -> slice:
    start = rng.randrange(len(data))
    return slice(start, start + rng.randint(1, max(1, len(data) // 4)))


_DAMAGES = (
    _flip_few_bits,
    _flip_many_bits,
    _truncate,
    _zero,
    _remove,
    _duplicate,
    _edit_header,
    _enlarge_number,
)
