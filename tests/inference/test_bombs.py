"""Small files that would cost much: pictures, frames, tracks, hours, memory, processor time."""

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motionfit.inference import container
from motionfit.inference.clip import ClipSpec
from motionfit.inference.codecs import DECODERS
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import (
    DecodeTimeout,
    UnreadableVideo,
    VideoError,
    VideoTooLarge,
)
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.video import read_clips
from tests.conftest import PATIENCE_SECONDS
from tests.inference.made_videos import even_times, numbered, remux, write_video

SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=3)
SMALL = DecodeLimits(max_pixels=256 * 192)

pytestmark = pytest.mark.usefixtures("nothing_left")


def cpu_seconds(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 0.01


def peak_bytes(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def png(width: int, height: int) -> bytes:
    """A black picture in as few bytes as can be."""
    rows = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    data = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        for kind, part in chunks
    )


def gif(width: int, height: int, *, frames: int) -> bytes:
    """A GIF whose frames change one dot each."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    delay = b"\x21\xf9\x04\x00" + struct.pack("<H", 10) + b"\x00\x00"
    dot = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + screen + (delay + dot) * frames + b"\x3b"


@pytest.mark.parametrize("side", [8_000, 65_535])
def test_a_gif_of_gigapixels_is_refused_before_it_is_decoded(
    decoder: DecoderProcess, tmp_path: Path, side: int
) -> None:
    (tmp_path / "a.gif").write_bytes(gif(side, side, frames=2))
    assert (tmp_path / "a.gif").stat().st_size < 100
    with pytest.raises(VideoTooLarge, match=f"pictures of {side} x {side} pixels"):
        decoder.read_clips(tmp_path / "a.gif", spec=SPEC)
    assert peak_bytes(decoder.pid) < 100e6


def test_a_gif_of_too_many_frames_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(gif(2, 2, frames=20_001))
    limits = DecodeLimits(max_frames=20_000)
    with DecoderProcess(limits=limits) as decoder, pytest.raises(VideoTooLarge) as caught:
        decoder.read_clips(tmp_path / "a.gif", spec=SPEC)
    assert "more than 20000 frames" in str(caught.value)


def with_bombs(path: Path, target: Path, *, places: tuple[int, ...], bomb: bytes) -> Path:
    """Some pictures of a video replaced by a bomb."""

    def put(packets: list[av.Packet]) -> None:
        for place in places:
            old, new = packets[place], av.Packet(bomb)
            new.pts, new.dts, new.time_base, new.is_keyframe = old.pts, old.dts, old.time_base, True
            packets[place] = new

    return remux(path, target, change=put)


@pytest.mark.parametrize("name", ["a.avi", "a.mov"])
def test_pictures_larger_than_the_container_says_are_never_unpacked(
    tmp_path: Path, name: str
) -> None:
    """35 kB would become 36 MB, behind headers that say 128 x 96."""
    bomb = png(4_000, 3_000)
    assert len(bomb) < 40_000
    path = write_video(tmp_path / f"good {name}", even_times(20, 25), codec="png")
    some = with_bombs(path, tmp_path / f"some {name}", places=(5, 10), bomb=bomb)
    all_of_it = with_bombs(path, tmp_path / name, places=tuple(range(20)), bomb=bomb)
    with DecoderProcess(limits=SMALL) as decoder:
        decoder.read_clips(path, spec=SPEC)
        before = peak_bytes(decoder.pid)
        clips = decoder.read_clips(some, spec=SPEC)
        with pytest.raises(UnreadableVideo, match="not one picture could be decoded") as caught:
            decoder.read_clips(all_of_it, spec=SPEC)
        assert peak_bytes(decoder.pid) - before < 10e6
    assert (clips.info.width, clips.info.height) == (128, 96)
    assert caught.value.codec == "png"


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_stream_larger_than_allowed_is_refused_whatever_its_container_says(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    pictures = [numbered(number, width=512, height=384) for number in range(10)]
    write_video(path, even_times(10, 25), pictures=pictures)
    data = path.read_bytes()
    sizes = {b"\x02\x00\x01\x80": b"\x00\x80\x00\x60"}  # in an MP4
    sizes |= {b"\xb0\x82\x02\x00\xba\x82\x01\x80": b"\xb0\x82\x00\x80\xba\x82\x00\x60"}
    for size, lie in sizes.items():
        data = data.replace(size, lie)
    assert (data != path.read_bytes()) == (name != "a.ts")
    path.write_bytes(data)
    with DecoderProcess(limits=SMALL) as decoder, pytest.raises(VideoError) as caught:
        decoder.read_clips(path, spec=SPEC)
    assert caught.value.code in {"video-too-large", "unreadable-video"}
    assert caught.value.codec == "h264"


def test_a_stream_that_grows_on_the_way_is_not_followed(tmp_path: Path) -> None:
    """Two broadcasts, one after the other: the second is larger than allowed."""
    small = write_video(tmp_path / "small.ts", even_times(40, 25))
    pictures = [numbered(number, width=1024, height=768) for number in range(40)]
    large = write_video(tmp_path / "large.ts", even_times(40, 25), pictures=pictures)
    path = tmp_path / "joined.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    assert read_clips(path, spec=SPEC).frames.shape[0] == 3
    with DecoderProcess(limits=SMALL) as decoder:
        clips = decoder.read_clips(path, spec=SPEC)
    assert any("damaged packets were skipped" in note for note in clips.info.notes)
    assert (clips.info.width, clips.info.height) == (128, 96)


@pytest.mark.parametrize("count", [33, 34, 200])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_more_tracks_than_allowed_are_refused(
    decoder: DecoderProcess, tmp_path: Path, name: str, count: int
) -> None:
    path = write_tracks(tmp_path / name, count=count)
    with pytest.raises(VideoTooLarge, match="32 tracks"):
        decoder.read_clips(path, spec=SPEC)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_as_many_tracks_as_allowed_are_read(
    decoder: DecoderProcess, tmp_path: Path, name: str
) -> None:
    decoder.read_clips(write_tracks(tmp_path / name, count=32), spec=SPEC)


def write_tracks(path: Path, *, count: int) -> Path:
    picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8)).reformat(format="yuv420p")
    with av.open(path, "w") as output:
        streams = [output.add_stream("mpeg2video", rate=25) for _ in range(count)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for index in range(2):
            for stream in streams:
                picture.pts, picture.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(picture))
        for stream in streams:
            output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_video_longer_than_allowed_is_refused_before_it_is_decoded(
    decoder: DecoderProcess, tmp_path: Path, name: str
) -> None:
    base = Fraction(1, 1_000)
    path = write_video(
        tmp_path / name, [Fraction(0), Fraction(1), Fraction(7_201)], time_base=base, rate=1
    )
    with pytest.raises(VideoTooLarge, match="lasts 7202.* s; at most 7200 s are allowed") as caught:
        decoder.read_clips(path, spec=SPEC)
    assert caught.value.codec == "h264"
    with pytest.raises(VideoTooLarge):
        list(decoder.read_windows(path, spec=SPEC, stride_seconds=60, max_windows=999))


def test_a_video_longer_than_allowed_is_refused_where_only_decoding_tells(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", even_times(50, 25), codec="mpeg4")
    limits = DecodeLimits(max_duration_seconds=1.9)
    with pytest.raises(VideoTooLarge, match=r"lasts 2 s; at most 1\.9 s"):
        read_clips(path, spec=SPEC, limits=limits)
    read_clips(path, spec=SPEC, limits=DecodeLimits(max_duration_seconds=2.0))


def test_processor_time_is_limited(slow_video: Path, made_clip_path: Path) -> None:
    limits = DecodeLimits(cpu_seconds=0.4, timeout_seconds=PATIENCE_SECONDS)
    with DecoderProcess(limits=limits) as decoder:
        decoder.start()
        with pytest.raises(DecodeTimeout, match=r"the 0\.4 s of processor time allowed"):
            decoder.read_clips(slow_video, spec=SPEC)
        decoder.read_clips(made_clip_path, spec=SPEC)
        with pytest.raises(DecodeTimeout, match=r"the 0\.4 s of processor time allowed"):
            list(decoder.read_windows(slow_video, spec=SPEC, stride_seconds=1, max_windows=9999))


def test_processor_time_is_limited_for_each_video_anew(made_clip_path: Path) -> None:
    limits = DecodeLimits(cpu_seconds=0.4, timeout_seconds=PATIENCE_SECONDS)
    with DecoderProcess(limits=limits) as decoder:
        decoder.start()
        pid, before = decoder.pid, cpu_seconds(decoder.pid)
        while cpu_seconds(pid) < before + 0.6:
            decoder.read_clips(made_clip_path, spec=SPEC, num_clips=64)
        assert decoder.pid == pid


def test_processor_time_is_limited_for_each_chunk_of_windows_anew(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", even_times(1_500, 25))
    spec = ClipSpec(num_frames=8, frame_rate=10.0, short_side=224, crop=224)
    limits = DecodeLimits(cpu_seconds=0.4, timeout_seconds=PATIENCE_SECONDS)
    with DecoderProcess(limits=limits) as decoder:
        decoder.start()
        before = cpu_seconds(decoder.pid)
        for _ in decoder.read_windows(path, spec=spec, stride_seconds=0.05, max_windows=2_000):
            pass
        assert cpu_seconds(decoder.pid) - before > 0.5


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("cinepak", "rgb24"), ("zmbv", "bgr0"), ("flashsv", "bgr24")]
)
def test_what_only_a_decoder_that_is_not_listed_could_read_is_refused_by_name(
    tmp_path: Path, codec: str, pix_fmt: str
) -> None:
    assert codec not in DECODERS
    name, pix_fmt = {
        "cinepak": ("a.avi", "rgb24"),
        "zmbv": ("a.avi", "bgr0"),
        "flashsv": ("a.flv", "bgr24"),
    }[codec]
    path = write_video(tmp_path / name, even_times(10, 25), codec=codec, pix_fmt=pix_fmt)
    with pytest.raises(
        UnreadableVideo, match=f"is encoded as {codec}; accepted are H.264"
    ) as caught:
        read_clips(path, spec=SPEC)
    assert caught.value.codec == codec


def test_every_decoder_that_is_listed_is_there() -> None:
    assert {name for name in DECODERS if av.Codec(name, "r").type != "video"} == set()


def test_a_decoder_that_is_not_listed_never_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg itself keeps the list: also while it opens a file, before we see what is in it."""
    path = write_video(tmp_path / "a.mp4", even_times(10, 25))
    monkeypatch.setattr(container, "DECODERS", frozenset({"vp8"}))
    monkeypatch.setattr(container, "_video_stream", lambda opened, limits: opened.streams.video[0])
    with pytest.raises(UnreadableVideo, match="not one picture could be decoded"):
        read_clips(path, spec=SPEC)


@pytest.mark.parametrize(
    ("times_ms", "error", "reason"),
    [
        ((0, 0, 10**16), UnreadableVideo, "thousands of years apart"),
        ((0, 40, 10**16), VideoTooLarge, "at most 7200 s"),
    ],
)
def test_times_that_no_clock_has_are_refused_by_name(
    tmp_path: Path, times_ms: tuple[int, ...], error: type[VideoError], reason: str
) -> None:
    path = tmp_path / "far.mkv"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        packets = []
        for _ in times_ms:
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            packets += stream.encode(picture)
        packets += stream.encode(None)
        for packet, time_ms in zip(packets, times_ms, strict=True):
            packet.pts = packet.dts = time_ms
            packet.time_base = Fraction(1, 1000)
            container.mux(packet)
    with pytest.raises(
        (VideoTooLarge, UnreadableVideo), match=r"at most 7200 s|thousands of years"
    ):
        read_clips(path, spec=SPEC)
