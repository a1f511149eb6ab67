"""Windows cost what they need, and show the same pictures as decoding everything."""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motionfit.inference import decoding
from motionfit.inference.decoding import VideoReader
from motionfit.inference.errors import VideoError
from motionfit.inference.video import Clips, read_clips
from tests.inference.made_videos import (
    SPEC,
    even_times,
    expected_numbers,
    numbers_of,
    remux,
    write_video,
)

# Pictures concealed from damaged data depend on where decoding began.
DAMAGED = {"mp4parse/mp4parse_capi/tests/no_timescale.mp4"}


def decode_everything(monkeypatch: pytest.MonkeyPatch, path: Path, **options: int) -> Clips:
    """The clips of a file, read as if its timestamps were no good."""
    index_of = decoding.read_index
    with monkeypatch.context() as patch:
        patch.setattr(
            decoding,
            "read_index",
            lambda *args, **kwargs: dataclasses.replace(index_of(*args, **kwargs), trusted=False),
        )
        return read_clips(path, spec=SPEC, **options)


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes, a key frame every two seconds, B-frames, sound."""
    return write_video(
        tmp_path_factory.mktemp("long") / "long.mp4",
        even_times(3_000, 25),
        sound_first=True,
        options={"x264-params": "scenecut=0:keyint=50:bframes=2"},
    )


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.flv", "a.mov"])
def test_windows_of_a_long_video_decode_a_small_part_of_it(
    tmp_path: Path, long_video: Path, decoded_packets: list[int | None], name: str
) -> None:
    path = remux(long_video, tmp_path / name)
    clips = read_clips(path, spec=SPEC)
    wanted = expected_numbers(even_times(3_000, 25), last=Fraction(1, 25))
    assert numbers_of(clips.frames) == sum(wanted, [])
    # Three windows of 20 frames, each up to 49 after a key frame, and what the decoder holds back.
    assert len(decoded_packets) <= 3 * (20 + 49 + 8)


def test_windows_of_a_video_without_key_frames_but_the_first_decode_from_where_it_builds_up(
    tmp_path: Path, decoded_packets: list[int | None]
) -> None:
    options = {"x264-params": "keyint=25:intra-refresh=1:bframes=0"}
    path = write_video(tmp_path / "a.mkv", even_times(1_000, 25), options=options)
    clips = read_clips(path, spec=SPEC)
    wanted = expected_numbers(even_times(1_000, 25), last=Fraction(1, 25))
    assert numbers_of(clips.frames) == sum(wanted, [])
    # Up to four tries for each stretch between two points where building up begins.
    assert len(decoded_packets) <= 400


def test_moments_far_apart_are_sought_one_by_one(
    long_video: Path, decoded_packets: list[int | None]
) -> None:
    spec = dataclasses.replace(SPEC, num_frames=10, frame_rate=0.1)
    clips = read_clips(long_video, spec=spec, num_clips=1)
    wanted = expected_numbers(even_times(3_000, 25), last=Fraction(1, 25), spec=spec, num_clips=1)
    assert numbers_of(clips.frames) == sum(wanted, [])
    assert len(decoded_packets) <= 10 * (50 + 8)


@pytest.mark.parametrize("num_clips", [1, 2, 16, 64])
def test_overlapping_clips_decode_no_packet_twice(
    tmp_path: Path, decoded_packets: list[int | None], num_clips: int
) -> None:
    times = even_times(75, 25)
    path = write_video(tmp_path / "a.mp4", times)
    clips = read_clips(path, spec=SPEC, num_clips=num_clips)
    wanted = expected_numbers(times, last=Fraction(1, 25), num_clips=num_clips)
    assert numbers_of(clips.frames) == sum(wanted, [])
    assert len(decoded_packets) == len(set(decoded_packets))


MADE: dict[str, tuple[str, str, dict[str, str]]] = {
    "H.264 open GOP": ("a.mkv", "libx264", {"x264-params": "keyint=12:bframes=3:open-gop=1"}),
    "H.264 open GOP TS": ("a.ts", "libx264", {"x264-params": "keyint=12:bframes=3:open-gop=1"}),
    "H.264 intra refresh": ("a.mkv", "libx264", {"x264-params": "keyint=12:intra-refresh=1"}),
    "H.265 open GOP": ("a.mkv", "libx265", {"x265-params": "log-level=0:keyint=12:bframes=3"}),
    "MPEG-2 open GOP": ("a.ts", "mpeg2video", {"bf": "2", "g": "12"}),
    "MPEG-4": ("a.mp4", "mpeg4", {"bf": "2", "g": "12"}),
    "VP8": ("a.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16"}),
    "VP9": ("a.webm", "libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "16"}),
    "AV1": ("a.mp4", "libsvtav1", {}),
    "Microsoft's MPEG-4": ("a.mkv", "msmpeg4", {"g": "12"}),
    "FLV": ("a.flv", "flv", {"g": "12"}),
    "Motion JPEG": ("a.mov", "mjpeg", {}),
    "GIF": ("a.gif", "gif", {}),
    "Ogg": ("a.ogg", "libvpx", {}),
}


@pytest.mark.parametrize("case", MADE)
def test_windows_of_made_videos_show_the_same_as_decoding_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    name, codec, options = MADE[case]
    path = write_video(tmp_path / name, even_times(100, 25), codec=codec, options=options)
    with path.open("rb") as file, VideoReader(file) as reader:
        assert reader.index.trusted
    windows = read_clips(path, spec=SPEC, num_clips=5)
    everything = decode_everything(monkeypatch, path, num_clips=5)
    np.testing.assert_array_equal(windows.frames, everything.frames)
    np.testing.assert_array_equal(windows.starts_us, everything.starts_us)
    assert windows.info == everything.info


def test_windows_of_real_videos_show_the_same_as_decoding_everything(
    monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    odd = data_dir / "odd"
    healthy = 0
    for path in sorted(path for path in odd.rglob("*") if path.is_file()):
        name = str(path.relative_to(odd))
        if name in DAMAGED:
            continue
        try:
            windows = read_clips(path, spec=SPEC)
        except VideoError:
            continue
        np.testing.assert_array_equal(
            windows.frames, decode_everything(monkeypatch, path).frames, err_msg=name
        )
        healthy += 1
    assert healthy > 40


def test_a_file_in_which_seeking_fails_is_decoded_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mkv", even_times(100, 25))
    monkeypatch.setattr(VideoReader, "_seek", lambda self, key: None)
    clips = read_clips(path, spec=SPEC)
    wanted = expected_numbers(even_times(100, 25), last=Fraction(1, 25))
    assert numbers_of(clips.frames) == sum(wanted, [])


@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "libx265"])
def test_packets_wrongly_marked_as_key_frames_spoil_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    def mark(packets: Sequence[av.Packet]) -> None:
        for packet in packets:
            packet.is_keyframe = True

    path = write_video(tmp_path / "a.mp4", even_times(100, 25), codec=codec)
    marked = remux(path, tmp_path / "marked.mp4", change=mark)
    windows = read_clips(marked, spec=SPEC, num_clips=5)
    np.testing.assert_array_equal(
        windows.frames, decode_everything(monkeypatch, marked, num_clips=5).frames
    )


@pytest.mark.parametrize("name", ["a.mp4", "b.mkv"])
def test_where_nothing_can_be_decoded_the_picture_before_stays(tmp_path: Path, name: str) -> None:
    def spoil(packets: Sequence[av.Packet]) -> None:
        for packet in packets[60:]:
            packet.update(b"\x7f" * packet.size)

    path = write_video(tmp_path / "a.mkv", even_times(120, 25))
    spoiled = remux(path, tmp_path / name, change=spoil)
    clips = read_clips(spoiled, spec=SPEC)
    wanted = expected_numbers(even_times(120, 25), last=Fraction(1, 25))
    assert numbers_of(clips.frames) == [min(number, 59) for number in sum(wanted, [])]
    assert any("damaged" in note for note in clips.info.notes)
