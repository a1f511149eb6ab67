"""Videos made for tests: every frame carries its own number, at a known time.

The number is written as 4 x 4 black and white blocks in the centre of the picture: twelve bits and
a four-bit check sum, so a broken or blended picture is noticed and not taken for another number.
"""

import os
import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from motionfit.inference.clip import ClipSpec

WIDTH, HEIGHT = 128, 96
BLOCK = 16
EARLY = Fraction(1, 1000)
"""Seconds that a frame may come after a moment and still count as on screen at it."""

Picture = NDArray[np.uint8]
SPEC = ClipSpec(num_frames=8, frame_rate=10.0, short_side=48, crop=48, num_clips=3)

# Without these swscale reads past the edge of odd sizes when it makes 10-bit pictures.
EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT

FAST: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast", "x264-params": "scenecut=0:keyint=12"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=0:keyint=12:pools=none"},
    "libsvtav1": {"preset": "8", "crf": "20", "svtav1-params": "keyint=12:lp=1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "g": "12"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "g": "12"},
}
PIXEL_FORMATS = {"mjpeg": "yuvj420p", "png": "rgb24", "gif": "rgb8", "prores_ks": "yuv422p10le"}


def numbered(number: int, *, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """A grey picture (height, width, 3) with the number in its centre."""
    picture = np.full((height, width, 3), 128, np.uint8)
    code = number << 4 | _check_sum(number)
    top, left = height // 2 - 2 * BLOCK, width // 2 - 2 * BLOCK
    for bit in range(16):
        row, column = top + bit // 4 * BLOCK, left + bit % 4 * BLOCK
        picture[row : row + BLOCK, column : column + BLOCK] = 230 if code >> bit & 1 else 20
    return picture


def number_of(picture: Picture, *, source_height: int = HEIGHT) -> int:
    """The number in a scaled picture (h, w, 3) that shows the centre of a numbered one."""
    block = BLOCK * min(picture.shape[:2]) / source_height
    height, width = picture.shape[:2]
    code = 0
    for bit in range(16):
        row = round(height / 2 + (bit // 4 - 1.5) * block)
        column = round(width / 2 + (bit % 4 - 1.5) * block)
        code |= int(picture[row - 1 : row + 2, column - 1 : column + 2].mean() > 128) << bit
    number = code >> 4
    assert code & 15 == _check_sum(number), "the picture shows no number"
    return number


def numbers_of(frames: NDArray[np.uint8]) -> list[int]:
    """The numbers in pictures (..., h, w, 3), in order."""
    return [number_of(picture) for picture in frames.reshape(-1, *frames.shape[-3:])]


def even_times(count: int, rate: Fraction | int, *, start: Fraction | int = 0) -> list[Fraction]:
    """``count`` presentation times, seconds, ``rate`` a second."""
    return [Fraction(start) + Fraction(i) / Fraction(rate) for i in range(count)]


def expected_numbers(
    times: Sequence[Fraction], *, last: Fraction, spec: ClipSpec = SPEC, num_clips: int = 3
) -> list[list[int]]:
    """What the sampling rule takes from frames shown at ``times``, the last one for ``last``.

    Written with fractions of seconds, apart from the code under test, which uses microseconds.
    """
    shown = [time - times[0] for time in times]
    rate = Fraction(spec.frame_rate)
    slack = max(Fraction(0), shown[-1] + last - spec.num_frames / rate)
    clips = []
    for k in range(num_clips):
        start = slack * (2 * k + 1) / (2 * num_clips)
        moments = [start + j / rate for j in range(spec.num_frames)]
        clips.append([sum(time <= m + EARLY for time in shown) - 1 for m in moments])
    return clips


def write_video(
    path: Path,
    times: Sequence[Fraction],
    *,
    codec: str = "libx264",
    rate: Fraction | int = 25,
    time_base: Fraction | None = None,
    pix_fmt: str | None = None,
    container_format: str | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    sound_first: bool = False,
    prepare: Callable[[VideoStream], object] | None = None,
    pictures: Iterable[Picture] | None = None,
) -> Path:
    """Encode one numbered picture (or the next of ``pictures``) for each of ``times``, seconds."""
    with av.open(
        path, "w", format=container_format, container_options=container_options or {}
    ) as container:
        sound = container.add_stream("aac", rate=48_000) if sound_first else None
        stream = container.add_stream(codec, rate=Fraction(rate), options=_options(codec, options))
        stream.pix_fmt = pix_fmt = pix_fmt or PIXEL_FORMATS.get(codec, "yuv420p")
        base = time_base or 1 / Fraction(rate)
        stream.codec_context.time_base = base
        stream.codec_context.thread_count = 1  # libvpx's threads wait for each other by spinning
        shown = iter(pictures) if pictures else (numbered(i) for i in range(len(times)))
        for index, (time, picture) in enumerate(zip(times, shown, strict=True)):
            if not index:
                stream.height, stream.width = picture.shape[:2]
                if prepare:
                    prepare(stream)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format=pix_fmt, interpolation=EXACT)
            frame.pts, frame.time_base = round(time / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _write_silence(container, sound, seconds=float(times[-1]))
    if os.geteuid() == 0:
        # As root SVT-AV1 leaves its caller, and all that is started later, at real-time priority.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return path


def remux(
    source: Path,
    target: Path,
    *,
    change: Callable[[Sequence[av.Packet]], object] | None = None,
    container_options: dict[str, str] | None = None,
    add: Callable[[OutputContainer], av.Packet | None] = lambda _: None,
) -> Path:
    """Copy the packets of ``source``, after ``change`` was done to them, behind that which ``add``
    gives of a track that it adds.
    """
    with (
        av.open(source) as old,
        av.open(target, "w", container_options=container_options or {}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        if (added := add(new)) is not None:
            new.mux(added)
        packets = [packet for packet in old.demux(video=0) if packet.size]
        if change:
            change(packets)
        for packet in packets:
            packet.stream = stream
            new.mux(packet)
    return target


def shift(packets: Iterable[av.Packet], ticks: int) -> None:
    """Move packets in time."""
    for packet in packets:
        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks


def edit_list(path: Path) -> list[tuple[int, int]]:
    """(milliseconds, first media tick) of each edit of an MP4 with one track."""
    data = path.read_bytes()
    at = data.index(b"elst") + 8
    count = int.from_bytes(data[at : at + 4], "big")
    return [struct.unpack_from(">Ii", data, at + 4 + 12 * i) for i in range(count)]


def write_edit_list(path: Path, edits: Sequence[tuple[int, int]]) -> None:
    """Replace the edit list of an MP4 with one track whose headers follow its data."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") - 4
    old_size = int.from_bytes(data[at : at + 4], "big")
    table = b"".join(struct.pack(">IiI", *edit, 1 << 16) for edit in edits)
    box = struct.pack(">I4sII", 16 + len(table), b"elst", 0, len(edits)) + table
    data[at : at + old_size] = box
    for parent in (b"edts", b"trak", b"moov"):
        size_at = data.rindex(parent, 0, at) - 4
        size = int.from_bytes(data[size_at : size_at + 4], "big") + len(box) - old_size
        data[size_at : size_at + 4] = size.to_bytes(4, "big")
    path.write_bytes(data)


def _options(codec: str, options: dict[str, str] | None) -> dict[str, str]:
    return {**FAST.get(codec, {}), **(options or {})}


def _write_silence(container: OutputContainer, sound: av.AudioStream, *, seconds: float) -> None:
    for index in range(int(seconds * 48_000 / 1024) + 1):
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, index * 1024, Fraction(1, 48_000)
        container.mux(sound.encode(frame))
    container.mux(sound.encode(None))


def _check_sum(number: int) -> int:
    return (number ^ number >> 4 ^ number >> 8 ^ 0b1010) & 15
