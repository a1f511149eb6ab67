"""Opening: the content decides, never the name; pictures that are no video are left aside."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motionfit.inference.container import open_container, read_index, sniff
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import NoFrames, NotAVideo, UnreadableVideo, VideoTooLarge
from motionfit.inference.video import read_clips, read_frames
from tests.inference.made_videos import SPEC, even_times, numbered, numbers_of, write_video

CONTAINERS = {
    "a.mp4": ("libx264", "mov"),
    "a.mov": ("libx264", "mov"),
    "a.3gp": ("libx264", "mov"),
    "a.mkv": ("libx264", "matroska"),
    "a.webm": ("libvpx", "matroska"),
    "a.avi": ("mpeg4", "avi"),
    "a.ts": ("libx264", "mpegts"),
    "a.m2ts": ("libx264", "mpegts"),
    "a.mpg": ("mpeg2video", "mpeg"),
    "a.flv": ("flv", "flv"),
    "a.wmv": ("wmv2", "asf"),
    "a.ogg": ("libvpx", "ogg"),
    "a.gif": ("gif", "gif"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_content_tells_the_container_whatever_the_name(tmp_path: Path, name: str) -> None:
    codec, container = CONTAINERS[name]
    path = write_video(tmp_path / name, even_times(20, 25), codec=codec)
    assert sniff(path.read_bytes()[:1024]) == container
    misnamed = path.rename(tmp_path / "misnamed.txt")
    clips = read_clips(misnamed, spec=SPEC)
    assert clips.info.container == container
    assert numbers_of(clips.frames)[0] == 0


def test_a_fragmented_mp4_is_read(tmp_path: Path) -> None:
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    path = write_video(tmp_path / "a.mp4", even_times(60, 25), container_options=flags)
    assert b"moof" in path.read_bytes()
    assert numbers_of(read_frames(path, short_side=48).frames) == list(range(60))


def test_an_mp4_with_its_headers_in_front_is_read(tmp_path: Path) -> None:
    flags = {"movflags": "faststart"}
    path = write_video(tmp_path / "a.mp4", even_times(60, 25), container_options=flags)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert numbers_of(read_frames(path, short_side=48).frames) == list(range(60))


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"", "an empty file"),
        (b"this is text, not a video" * 9, "b'this is '"),
        (b"ID3\x04" + bytes(100), "ID3"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "RIFF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "xff"),
        (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/hostname\n", "#EXTM3U"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "ffconcat"),
        (b"<?xml version='1.0'?><MPD></MPD>", "<?xml"),
        (b"\x47" + bytes(187) + b"\x47" + bytes(187) + b"\x48" + bytes(400), "b'G"),
    ],
)
def test_what_is_no_accepted_container_is_refused_by_name(head: bytes, named: str) -> None:
    with pytest.raises(NotAVideo) as caught:
        read_clips(io.BytesIO(head), spec=SPEC)
    assert named in str(caught.value)
    assert "MP4, MOV, 3GP, MKV, WebM, AVI" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_header_is_an_unreadable_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", even_times(20, 25))
    data = path.read_bytes()
    with pytest.raises(UnreadableVideo, match="this mov file cannot be opened"):
        read_clips(io.BytesIO(data[: data.index(b"moov")]), spec=SPEC)


def test_sound_alone_holds_no_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(path, "w") as container:
        sound = container.add_stream("aac", rate=48_000)
        for index in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            frame.sample_rate, frame.pts = 48_000, index * 1024
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with pytest.raises(NoFrames, match="no video track"):
        read_clips(path, spec=SPEC)


def test_headers_alone_hold_no_pictures(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4",
        even_times(20, 25),
        container_options={"movflags": "frag_keyframe+empty_moov"},
    )
    data = path.read_bytes()
    headers = data[: data.index(b"moof") - 4]
    with pytest.raises(NoFrames, match="holds no pictures"):
        read_clips(io.BytesIO(headers), spec=SPEC)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("cover_first", [False, True])
def test_a_cover_picture_is_not_the_video(tmp_path: Path, name: str, cover_first: bool) -> None:
    path = write_with_cover(tmp_path / name, cover_first=cover_first)
    with av.open(path) as container:
        assert len(container.streams.video) == 2
    frames = read_frames(path, short_side=48)
    assert numbers_of(frames.frames) == list(range(30))


def test_a_cover_picture_alone_is_no_video(tmp_path: Path) -> None:
    path = write_with_cover(tmp_path / "a.mp4", cover_first=True, count=0)
    with pytest.raises(NoFrames):
        read_clips(path, spec=SPEC)


def write_with_cover(path: Path, *, cover_first: bool, count: int = 30) -> Path:
    """``count`` numbered frames, and a large picture that shows the number 4000."""
    with av.open(path, "w") as container:
        names = ["mjpeg", "libx264"] if cover_first else ["libx264", "mjpeg"]
        streams = {name: container.add_stream(name, rate=25) for name in names}
        cover, video = streams["mjpeg"], streams["libx264"]
        for stream, scale, pix_fmt in ((cover, 4, "yuvj420p"), (video, 1, "yuv420p")):
            stream.width, stream.height, stream.pix_fmt = 128 * scale, 96 * scale, pix_fmt
        cover.disposition = av.stream.Disposition.attached_pic
        large = numbered(4000).repeat(4, axis=0).repeat(4, axis=1)
        for stream, pictures in ((cover, [large]), (video, map(numbered, range(count)))):
            for index, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture).reformat(format=stream.pix_fmt)
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.flv"])
def test_metadata_that_is_not_utf_8_is_ignored(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    path = tmp_path / name
    with av.open(path, "w") as container:
        container.metadata["title"] = "TITLETITLE"
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(20):
            frame = av.VideoFrame.from_ndarray(numbered(index)).reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert b"TITLETITLE" in data
    path.write_bytes(data.replace(b"TITLETITLE", b"caf\xe9 \xff\xfe\xc3\x28 "))
    with pytest.raises(UnicodeDecodeError), av.open(path):
        pass
    assert numbers_of(read_frames(path, short_side=48).frames) == list(range(20))


def test_more_frames_than_allowed_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", even_times(20, 25))
    assert read_clips(path, spec=SPEC, limits=DecodeLimits(max_frames=20)).frames.shape[0] == 3
    with pytest.raises(VideoTooLarge, match="more than 19 frames"):
        read_clips(path, spec=SPEC, limits=DecodeLimits(max_frames=19))


def test_more_pixels_than_allowed_are_refused_before_decoding(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", even_times(20, 25))
    read_clips(path, spec=SPEC, limits=DecodeLimits(max_pixels=128 * 96))
    with pytest.raises(VideoTooLarge, match="128 x 96 pixels; at most 12287"):
        read_clips(path, spec=SPEC, limits=DecodeLimits(max_pixels=128 * 96 - 1))


def test_more_decoded_frames_than_fit_into_memory_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", even_times(20, 25), codec="mpeg4")
    picture_bytes = 48 * 64 * 3
    limits = DecodeLimits(memory_bytes=4 * 20 * picture_bytes)
    assert len(read_frames(path, short_side=48, limits=limits).frames) == 20
    with pytest.raises(VideoTooLarge, match="cut the video"):
        read_frames(
            path, short_side=48, limits=DecodeLimits(memory_bytes=4 * 20 * picture_bytes - 4)
        )


def test_the_index_lists_pictures_in_the_order_shown(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4",
        even_times(30, 25),
        options={"x264-params": "scenecut=0:keyint=10:bframes=2:open-gop=0"},
    )
    with path.open("rb") as file:
        container, stream = open_container(file)
        with container:
            index = read_index(container, stream, max_frames=30)
    assert index.trusted
    assert index.continuous
    assert index.times == tuple(512 * number for number in range(30))
    assert [time for time, _ in index.keys] == [0, 5120, 10240]
    assert all(due <= time for time, due in index.keys)
    assert index.end == 30 * 512


def test_the_file_stays_open_for_its_owner(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", even_times(20, 25))
    with path.open("rb") as file:
        file.seek(7)  # reading starts at the start of the file wherever it stands
        first = read_clips(file, spec=SPEC)
        second = read_clips(file, spec=SPEC)
        assert not file.closed
    np.testing.assert_array_equal(first.frames, second.frames)


def test_a_missing_file_is_not_the_videos_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_clips(tmp_path / "none.mp4", spec=SPEC)
