"""Files whose clocks are broken: decoded once, and every frame still counts."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motionfit.inference.video import read_clips, read_frames
from tests.inference.made_videos import (
    SPEC,
    even_times,
    expected_numbers,
    numbered,
    numbers_of,
    remux,
    shift,
    write_video,
)

B_FRAMES = {"x264-params": "scenecut=0:keyint=12:bframes=3:b-pyramid=2:open-gop=1"}
# Bytes before the first packet of a file that is put behind another.
HEADER_BYTES = {"flv": 13}


def joined(
    folder: Path,
    name: str,
    *,
    codec: str = "libx264",
    second_start: Fraction | int = 0,
    rate: int = 25,
) -> Path:
    """Two files of 60 frames, the numbers 0-59 and 60-119, one behind the other."""
    options = B_FRAMES if codec == "libx264" else {}
    extension = name.partition(".")[2]
    pieces = [
        write_video(
            folder / f"{first}.{extension}",
            even_times(60, rate, start=second_start if first else 0),
            codec=codec,
            rate=rate,
            time_base=Fraction(1, 2 * rate) if codec == "libx264" else None,
            options=options,
            pictures=[numbered(number) for number in range(first, first + 60)],
        )
        for first in (0, 60)
    ]
    path = folder / name
    skipped = HEADER_BYTES.get(extension, 0)
    path.write_bytes(pieces[0].read_bytes() + pieces[1].read_bytes()[skipped:])
    return path


def check_even(path: Path, *, count: int, rate: int = 25) -> None:
    """All frames are there, evenly spaced, in both ways of reading, and a note says so."""
    frames = read_frames(path, short_side=48)
    assert numbers_of(frames.frames) == list(range(count))
    assert np.abs(np.diff(frames.times_us) - 1e6 / rate).max() <= 1
    assert frames.duration_us == pytest.approx(count * 1e6 / rate, abs=count)
    clips = read_clips(path, spec=SPEC)
    wanted = expected_numbers(even_times(count, rate), last=Fraction(1, rate))
    assert numbers_of(clips.frames) == sum(wanted, [])
    note = f"Frames have no usable times: taken as evenly spaced at {rate:.2f} a second."
    assert note in clips.info.notes


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.ts", "libx264"),
        ("a.ts", "mpeg2video"),
        ("a.flv", "libx264"),
        ("a.flv", "flv"),
        ("a.mpg", "mpeg2video"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx"),
        ("a.ogg", "libvpx"),
    ],
)
def test_a_clock_that_starts_again_does_not_mix_the_pieces(
    tmp_path: Path, name: str, codec: str
) -> None:
    check_even(joined(tmp_path, name, codec=codec), count=120)


@pytest.mark.parametrize("second_start", ["6/5", "9/5", "out of step", "3600", "80000"])
@pytest.mark.parametrize("rate", [25, 30])
def test_a_clock_that_jumps_in_a_transport_stream_does_not_count(
    tmp_path: Path, second_start: str, rate: int
) -> None:
    # Half a frame out of step no two frames have the same time.
    out_of_step = 1 + Fraction(1, 2 * rate)
    start = out_of_step if second_start == "out of step" else Fraction(second_start)
    check_even(joined(tmp_path, "a.ts", second_start=start, rate=rate), count=120, rate=rate)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_a_pause_is_a_frame_that_stays(tmp_path: Path, name: str) -> None:
    times = even_times(60, 25) + even_times(60, 25, start=7)
    path = write_video(tmp_path / name, times, options=B_FRAMES)
    clips = read_clips(path, spec=SPEC)
    wanted = expected_numbers(times, last=Fraction(1, 25))
    assert numbers_of(clips.frames) == sum(wanted, [])
    assert clips.info.duration_seconds == pytest.approx(9.4)


def test_avi_without_times_plays_at_its_own_rate(tmp_path: Path) -> None:
    path = joined(tmp_path, "a.avi", codec="mpeg4", rate=30)
    frames = read_frames(path, short_side=48)
    assert numbers_of(frames.frames) == list(range(120))
    assert np.abs(frames.times_us - np.arange(120) * 1e6 / 30).max() <= 1
    assert frames.info.notes == ()


def test_dropped_frames_of_an_avi_keep_their_time(tmp_path: Path) -> None:
    times = even_times(20, 25) + even_times(40, 25, start=2)
    path = write_video(tmp_path / "a.avi", times, codec="mjpeg")
    frames = read_frames(path, short_side=48)
    assert numbers_of(frames.frames) == list(range(60))
    assert frames.times_us.tolist() == [round(float(time) * 1e6) for time in times]
    wanted = expected_numbers(times, last=Fraction(1, 25))
    assert numbers_of(read_clips(path, spec=SPEC).frames) == sum(wanted, [])


def no_time_but_the_first(packets: Sequence[av.Packet]) -> None:
    for packet in packets[1:]:
        packet.pts = None


def all_at_once(packets: Sequence[av.Packet]) -> None:
    for packet in packets:
        packet.pts = packet.dts = 0


def below_zero(packets: Sequence[av.Packet]) -> None:
    shift(packets, -1_000)


@pytest.mark.parametrize(
    ("source", "target", "spoil"),
    [
        ("a.mkv", "all-zero.mkv", all_at_once),
        ("a.mkv", "all-zero.ts", all_at_once),
        ("a.mkv", "all-zero.flv", all_at_once),
        ("a.mkv", "no-times.mkv", below_zero),  # FFmpeg cannot read what it wrote
        ("b.ts", "first-only.ts", no_time_but_the_first),
    ],
)
def test_missing_or_repeated_times_give_way_to_even_spacing(
    tmp_path: Path, source: str, target: str, spoil: Callable[[Sequence[av.Packet]], None]
) -> None:
    options = B_FRAMES if source == "b.ts" else {}
    path = write_video(tmp_path / source, even_times(60, 25), options=options)
    spoiled = remux(
        path,
        tmp_path / target,
        change=spoil,
        container_options={"avoid_negative_ts": "disabled"},
    )
    check_even(spoiled, count=60)
