"""Which frames are taken: exactly those on screen at the sampled moments, in every container."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motionfit.inference.video import read_clips, read_frames
from tests.inference.made_videos import (
    SPEC,
    edit_list,
    even_times,
    expected_numbers,
    numbered,
    numbers_of,
    remux,
    shift,
    write_edit_list,
    write_video,
)

H264_B_FRAMES = {"x264-params": "scenecut=0:keyint=12:bframes=3:b-pyramid=2:open-gop=1"}
H265_B_FRAMES = {"x265-params": "log-level=0:keyint=12:bframes=3:open-gop=1:pools=none"}
HIDDEN_FRAMES = {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good", "cpu-used": "5"}
CODECS = [
    ("a.mp4", "libx264", {}),
    ("a.mp4", "libx264", H264_B_FRAMES),
    ("a.mov", "libx264", H264_B_FRAMES),
    ("a.mkv", "libx264", H264_B_FRAMES),
    ("a.ts", "libx264", H264_B_FRAMES),
    ("a.flv", "libx264", H264_B_FRAMES),
    ("a.avi", "libx264", H264_B_FRAMES),
    ("a.mkv", "libx264", {"x264-params": "keyint=12:intra-refresh=1:bframes=0"}),
    ("a.mp4", "libx265", H265_B_FRAMES),
    ("a.mkv", "libx265", H265_B_FRAMES),
    ("a.ts", "libx265", H265_B_FRAMES),
    ("a.webm", "libvpx", HIDDEN_FRAMES),
    ("a.webm", "libvpx-vp9", HIDDEN_FRAMES),
    ("a.ogg", "libvpx", {}),
    ("a.mp4", "libsvtav1", {}),
    ("a.webm", "libsvtav1", {}),
    ("a.mpg", "mpeg1video", {"bf": "2", "g": "12"}),
    ("a.mpg", "mpeg2video", {"bf": "2", "g": "12"}),
    ("a.ts", "mpeg2video", {"bf": "2", "g": "12"}),
    ("a.avi", "mpeg4", {"g": "12"}),
    ("a.avi", "mpeg4", {"g": "12", "bf": "2"}),
    ("a.mp4", "mpeg4", {"g": "12", "bf": "2"}),
    ("a.mkv", "mpeg4", {"g": "12", "bf": "2"}),
    ("a.avi", "msmpeg4", {}),
    ("a.avi", "libvpx", {}),
    ("a.avi", "libsvtav1", {}),
    ("a.avi", "mpeg2video", {"bf": "2", "g": "12"}),
    ("a.vob", "mpeg2video", {"bf": "2", "g": "12"}),
    ("a.wmv", "wmv2", {}),
    ("a.wmv", "mpeg4", {"g": "12", "bf": "2"}),
    ("a.wmv", "libx264", H264_B_FRAMES),
    ("a.mkv", "msmpeg4", {}),
    ("a.flv", "flv", {}),
    ("a.avi", "mjpeg", {}),
    ("a.mov", "mjpeg", {}),
    ("a.mov", "prores_ks", {}),
    ("a.mov", "png", {}),
    ("a.mkv", "ffv1", {}),
    ("a.avi", "rawvideo", {}),
    ("a.gif", "gif", {}),
]


def check(path: Path, times: Sequence[Fraction], *, last: Fraction) -> None:
    """Both ways of reading take the frames, and tell the times, that the made video has."""
    clips = read_clips(path, spec=SPEC)
    assert numbers_of(clips.frames) == sum(expected_numbers(times, last=last), [])
    frames = read_frames(path, short_side=48)
    assert numbers_of(frames.frames) == list(range(len(times)))
    shown = [round(float(time - times[0]) * 1e6) for time in times]
    assert np.abs(frames.times_us - shown).max() <= 1_000
    assert abs(frames.duration_us - shown[-1] - float(last) * 1e6) <= 2_000
    assert clips.info.duration_seconds == pytest.approx(
        float(times[-1] - times[0] + last), abs=0.002
    )


@pytest.mark.parametrize(("name", "codec", "options"), CODECS)
def test_each_codec_and_container_gives_the_frames_on_screen(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    times = even_times(60, 25)
    path = write_video(
        tmp_path / name,
        times,
        codec=codec,
        options=options,
    )
    check(path, times, last=Fraction(1, 25))
    assert [note for note in read_clips(path, spec=SPEC).info.notes if "damaged" in note] == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("rate", ["60", "50", "30", "30000/1001", "25", "24", "15", "10", "5", "1"])
def test_each_frame_rate_is_sampled_by_time(tmp_path: Path, name: str, rate: str) -> None:
    times = even_times(round(3 * Fraction(rate)), Fraction(rate))
    path = write_video(tmp_path / name, times, rate=Fraction(rate), options=H264_B_FRAMES)
    check(path, times, last=1 / Fraction(rate))


def test_60_and_25_frames_a_second_show_the_same_motion(tmp_path: Path) -> None:
    phone = write_video(tmp_path / "phone.mp4", even_times(180, 60), rate=60)
    film = write_video(tmp_path / "film.avi", even_times(75, 25), codec="mpeg4")
    seen = {
        rate: np.array(numbers_of(read_clips(path, spec=SPEC).frames)) / rate
        for path, rate in ((phone, 60), (film, 25))
    }
    assert np.abs(seen[60] - seen[25]).max() <= 1 / 25


def test_a_source_slower_than_the_sampling_rate_repeats_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "slow.mp4", even_times(15, 5), rate=5)
    clip = read_clips(path, spec=SPEC, num_clips=1)
    # The middle 0.8 of 3 seconds: from 1.1 s on, ten moments a second.
    assert clip.starts_us.tolist() == [1_100_000]
    assert numbers_of(clip.frames) == [5, 6, 6, 7, 7, 8, 8, 9]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.webm", "a.ts", "a.gif"])
def test_variable_frame_rate_is_read_by_time(tmp_path: Path, name: str) -> None:
    gaps = [Fraction(n, 100) for n in (4, 4, 10, 50, 3, 3, 7, 30, 4, 120, 4, 2, 9, 4, 60, 5)] * 2
    times = [sum(gaps[:i], Fraction(0)) for i in range(len(gaps) + 1)]
    codec = {".webm": "libvpx-vp9", ".gif": "gif"}.get(Path(name).suffix, "libx264")
    path = write_video(
        tmp_path / name,
        times,
        codec=codec,
        time_base=Fraction(1, 100),
        rate=100,
    )
    clips = read_clips(path, spec=SPEC)
    duration = Fraction(round(clips.info.duration_seconds * 1_000_000), 1_000_000)
    last = duration - times[-1]
    assert Fraction(1, 200) < last < Fraction(1, 5)  # no container here stores it
    assert numbers_of(clips.frames) == sum(expected_numbers(times, last=last), [])
    assert read_frames(path, short_side=48).times_us.tolist() == [int(t * 10**6) for t in times]


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4", "a.flv"])
def test_time_counts_from_the_first_frame_shown(tmp_path: Path, name: str) -> None:
    times = even_times(60, 25, start=5)
    path = write_video(tmp_path / name, times, options=H264_B_FRAMES)
    check(path, times, last=Fraction(1, 25))


def test_times_below_zero_are_read(tmp_path: Path) -> None:
    times = even_times(60, 25)
    path = write_video(tmp_path / "a.ts", times)
    below_zero = remux(
        path,
        tmp_path / "b.ts",
        change=lambda packets: shift(packets, -90_000),
        container_options={"avoid_negative_ts": "disabled"},
    )
    with av.open(below_zero) as container:
        assert next(container.demux(video=0)).pts == -90_000
    check(below_zero, times, last=Fraction(1, 25))


def test_a_clock_that_overflows_in_mid_stream_is_read(tmp_path: Path) -> None:
    # MPEG-TS counts 2 ** 33 ticks of 1/90000 s, 26.5 hours.
    times = even_times(60, 25, start=Fraction(2_386_063, 25))
    path = write_video(tmp_path / "a.ts", times, options=H264_B_FRAMES)
    with av.open(path, options={"correct_ts_overflow": "0"}) as container:
        stamps = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert stamps[-1] < stamps[0]
    check(path, times, last=Fraction(1, 25))


@pytest.mark.parametrize("options", [{}, H264_B_FRAMES], ids=["plain", "B-frames"])
def test_an_edit_list_hides_the_frames_before_it(tmp_path: Path, options: dict[str, str]) -> None:
    path = write_video(tmp_path / "a.mp4", even_times(60, 25), options=options)
    first = edit_list(path)[0][1]
    write_edit_list(path, [(1_000, first + 13 * 512)])  # milliseconds; ticks of 1/12800 s
    clips = read_clips(path, spec=SPEC)
    wanted = sum(expected_numbers(even_times(25, 25), last=Fraction(1, 25)), [])
    assert numbers_of(clips.frames) == [13 + number for number in wanted]
    assert numbers_of(read_frames(path, short_side=48).frames) == list(range(13, 38))


@pytest.mark.parametrize("options", [{}, H264_B_FRAMES], ids=["plain", "B-frames"])
def test_an_edit_list_puts_pieces_in_another_order(tmp_path: Path, options: dict[str, str]) -> None:
    path = write_video(tmp_path / "a.mp4", even_times(60, 25), options=options)
    first = edit_list(path)[0][1]
    write_edit_list(path, [(800, first + 32 * 512), (800, first + 6 * 512)])
    order = [*range(32, 52), *range(6, 26)]
    clips = read_clips(path, spec=SPEC)
    wanted = sum(expected_numbers(even_times(40, 25), last=Fraction(1, 25)), [])
    assert numbers_of(clips.frames) == [order[number] for number in wanted]
    assert numbers_of(read_frames(path, short_side=48).frames) == order
    if not options:  # with B-frames FFmpeg lets the times of the second piece start too early
        assert clips.info.notes == ()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.flv"])
def test_sound_before_the_pictures_changes_nothing(tmp_path: Path, name: str) -> None:
    times = even_times(60, 25)
    path = write_video(tmp_path / name, times, sound_first=True, options=H264_B_FRAMES)
    with av.open(path) as container:
        assert [stream.type for stream in container.streams] == ["audio", "video"]
    check(path, times, last=Fraction(1, 25))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.gif"])
@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_video_shorter_than_a_clip_holds_its_last_frame(
    tmp_path: Path, name: str, count: int
) -> None:
    codec = {".gif": "gif", ".avi": "mpeg4"}.get(Path(name).suffix, "libx264")
    times = even_times(count, 25)
    path = write_video(tmp_path / name, times, codec=codec)
    clips = read_clips(path, spec=SPEC, num_clips=2)
    on_screen = [min(int(j * 2.5), count - 1) for j in range(SPEC.num_frames)]
    assert clips.starts_us.tolist() == [0, 0]
    assert numbers_of(clips.frames) == on_screen * 2
    assert "The video is shorter than one clip: its last frame is held." in clips.info.notes


def test_a_video_as_long_as_a_clip_is_taken_whole(tmp_path: Path) -> None:
    clips = read_clips(write_video(tmp_path / "a.mp4", even_times(20, 25)), spec=SPEC, num_clips=2)
    assert numbers_of(clips.frames) == [0, 2, 5, 7, 10, 12, 15, 17] * 2
    assert clips.info.notes == ()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_the_last_frame_lasts_as_long_as_the_file_says(tmp_path: Path, name: str) -> None:
    times = [*even_times(10, 25), Fraction(3)]  # a pause before it is not its length
    path = write_video(tmp_path / name, times)
    assert read_clips(path, spec=SPEC).info.duration_seconds == pytest.approx(3.04, abs=1e-3)


def test_a_wrong_frame_count_in_the_header_changes_nothing(tmp_path: Path) -> None:
    times = even_times(60, 25)
    path = write_video(tmp_path / "a.avi", times, codec="mpeg4", options={"bf": "2"})
    data = bytearray(path.read_bytes())
    for header, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        at = data.index(header) + offset
        assert int.from_bytes(data[at : at + 4], "little") in (60, 61)
        data[at : at + 4] = (7).to_bytes(4, "little")
    path.write_bytes(data)
    check(path, times, last=Fraction(1, 25))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.ts", "libx264"),
        ("a.webm", "libvpx"),
        ("a.webm", "libvpx-vp9"),
        ("a.mp4", "libvpx-vp9"),
        ("a.avi", "mjpeg"),
        ("a.mov", "mjpeg"),
    ],
)
def test_a_size_change_in_mid_stream_keeps_every_picture_whole(
    tmp_path: Path, name: str, codec: str
) -> None:
    suffix = ".mov" if codec == "mjpeg" else ".ts" if name == "a.ts" else ".mkv"
    pieces = [
        write_video(
            tmp_path / f"{factor}{suffix}",
            even_times(30, 25),
            codec=codec,
            pictures=[
                numbered(number).repeat(factor, axis=0).repeat(factor, axis=1)
                for number in range(30 * index, 30 * index + 30)
            ],
        )
        for index, factor in enumerate((1, 3))
    ]
    path = tmp_path / name
    with (
        av.open(pieces[0]) as first,
        av.open(pieces[1]) as second,
        av.open(path, "w") as joined,
    ):
        stream = joined.add_stream_from_template(first.streams.video[0])
        for piece, delay in ((first, 0), (second, Fraction(30, 25))):
            for packet in piece.demux(video=0):
                if packet.size:
                    shift([packet], int(delay / packet.time_base))
                    packet.stream = stream
                    joined.mux(packet)
    with av.open(path) as container:
        assert {frame.width for frame in container.decode(video=0)} == {128, 384}
    check(path, even_times(60, 25), last=Fraction(1, 25))
