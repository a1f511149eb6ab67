"""What else a file holds beside its pictures, sound, subtitles, fonts, data, changes no answer."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import OutputContainer
from av.video.stream import VideoStream

from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.video import read_clips
from tests.inference.made_videos import SPEC, even_times, remux, write_video

MILLISECONDS = Fraction(1, 1000)
PACK_BYTES = 2048  # of an MPEG program stream
PROBED_BYTES = 5_000_000  # by FFmpeg, when it opens a file


def subtitles(codec: str, content: bytes) -> Callable[[OutputContainer], av.Packet]:
    def add(container: OutputContainer) -> av.Packet:
        stream = container.add_mux_stream(codec)
        stream.time_base = MILLISECONDS
        return packet_of(stream, content)

    return add


def data(container: OutputContainer) -> av.Packet:
    return packet_of(container.add_data_stream("klv"), b"\x06\x0e\x2b\x34" + bytes(20))


def font(container: OutputContainer) -> None:
    container.add_attachment("font.ttf", "font/ttf", b"\0\1\0\0" + bytes(100))


def packet_of(stream: av.stream.Stream, content: bytes) -> av.Packet:
    packet = av.Packet(content)
    packet.stream, packet.time_base = stream, MILLISECONDS
    packet.pts = packet.dts = 0
    packet.duration = 1000
    return packet


@pytest.mark.parametrize(
    ("name", "add"),
    [
        ("film.mp4", subtitles("mov_text", b"\0\x05hello")),
        ("film.mkv", subtitles("subrip", b"hello")),
        ("film.mkv", font),
        ("film.ts", data),
    ],
)
def test_other_tracks_change_no_answer(
    tmp_path: Path,
    decoder: DecoderProcess,
    name: str,
    add: Callable[[OutputContainer], av.Packet | None],
) -> None:
    plain = write_video(tmp_path / f"plain_{name}", even_times(20, 25), sound_first=True)
    with_more = remux(plain, tmp_path / name, add=add)
    with av.open(with_more) as container:
        assert len(container.streams) == 2
    expected = read_clips(plain, spec=SPEC).frames
    for path in (plain, with_more):
        np.testing.assert_array_equal(decoder.read_clips(path, spec=SPEC).frames, expected)


def test_tracks_that_begin_behind_what_is_probed_change_no_answer(
    tmp_path: Path, decoder: DecoderProcess
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (288, 352, 3), np.uint8)
    pictures = [np.roll(noise, shift, axis=0) for shift in range(60)]
    plain = write_video(
        tmp_path / "plain.mpg",
        even_times(len(pictures), 25),
        codec="mpeg1video",
        pictures=pictures,
        prepare=much_a_picture,
    )
    content = plain.read_bytes()
    late = b"".join(b"\0\0\1" + bytes([0xC0 + n]) + b"\0\x28\x0f" + bytes(39) for n in range(30))
    place = len(content) * 9 // 10 // PACK_BYTES * PACK_BYTES
    assert place > PROBED_BYTES
    (tmp_path / "late.mpg").write_bytes(content[:place] + 2 * late + content[place:])
    found = decoder.read_clips(tmp_path / "late.mpg", spec=SPEC)
    np.testing.assert_array_equal(found.frames, read_clips(plain, spec=SPEC).frames)


def much_a_picture(stream: VideoStream) -> None:
    stream.bit_rate, stream.gop_size = 50_000_000, 1
