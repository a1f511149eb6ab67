"""A part of a video, and windows that slide over it: the right pictures, each decoded once."""

import dataclasses
import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import SpanOutside, TooManyWindows, VideoError
from motionfit.inference.sampling import Span, clip_length_us, frames_on_screen, sample_times
from motionfit.inference.video import (
    WINDOWS_AT_ONCE,
    Clips,
    read_clips,
    read_frames,
    read_windows,
)
from tests.inference.made_videos import (
    SPEC,
    even_times,
    expected_numbers,
    numbers_of,
    write_video,
)

CONTAINERS = {"a.mp4": "libx264", "a.mkv": "libx265", "a.ts": "mpeg2video", "a.avi": "mpeg4"}
RATE = 25


@pytest.fixture(scope="module")
def ten_seconds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("spans") / "a.mp4", even_times(250, RATE))


def joined(chunks: Sequence[Clips]) -> tuple[list[list[int]], list[int]]:
    """The numbers that each window shows, and when the windows start."""
    numbers = [numbers_of(window) for chunk in chunks for window in chunk.frames]
    return numbers, [int(start) for chunk in chunks for start in chunk.starts_us]


def shown(start: Fraction, *, spec: ClipSpec = SPEC, end: Fraction | None = None) -> list[int]:
    """The numbers that a window at ``start`` shows of a video of ``RATE`` frames per second."""
    moments = [start + j / Fraction(spec.frame_rate) for j in range(spec.num_frames)]
    last = float("inf") if end is None else -(-end * RATE // 1) - 1
    return [int(min(last, (moment + Fraction(1, 1000)) * RATE // 1)) for moment in moments]


@pytest.mark.parametrize("num_clips", [1, 3, 20])
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_span_is_read_as_if_it_were_a_video_of_its_own(
    tmp_path: Path, name: str, num_clips: int
) -> None:
    path = write_video(tmp_path / name, even_times(250, RATE), codec=CONTAINERS[name])
    span = Span(start_seconds=4.0, end_seconds=7.0)
    clips = read_clips(path, spec=SPEC, num_clips=num_clips, span=span)
    cut = expected_numbers(even_times(75, RATE), last=Fraction(1, RATE), num_clips=num_clips)
    assert numbers_of(clips.frames) == [100 + number for number in itertools.chain(*cut)]
    whole = read_clips(path, spec=SPEC)
    assert dataclasses.replace(clips.info, notes=()) == dataclasses.replace(whole.info, notes=())


def test_the_whole_is_what_no_span_is(ten_seconds: Path) -> None:
    expected = read_clips(ten_seconds, spec=SPEC)
    for span in (Span(), Span(end_seconds=10.0), Span(end_seconds=1e300)):
        found = read_clips(ten_seconds, spec=SPEC, span=span)
        np.testing.assert_array_equal(found.frames, expected.frames)
        np.testing.assert_array_equal(found.starts_us, expected.starts_us)
        assert found.info == expected.info


def test_nothing_is_seen_of_what_comes_after_a_span(ten_seconds: Path) -> None:
    span = Span(start_seconds=3.0, end_seconds=3.4)  # half a clip: frames 75 to 84
    clips = read_clips(ten_seconds, spec=SPEC, span=span)
    held = shown(Fraction(3), end=Fraction(34, 10))
    assert held == [75, 77, 80, 82, 84, 84, 84, 84]
    assert numbers_of(clips.frames) == held * 3
    assert clips.starts_us.tolist() == [3_000_000] * 3
    assert "The part looked at is shorter than one clip: its last frame is held." in (
        clips.info.notes
    )
    instant = read_clips(ten_seconds, spec=SPEC, span=Span(start_seconds=3, end_seconds=3.000001))
    assert numbers_of(instant.frames) == [75] * 24


@pytest.mark.parametrize("start_seconds", [10.0, 11.5, 1e300])
def test_a_span_after_the_end_is_refused_with_the_length(
    ten_seconds: Path, start_seconds: float
) -> None:
    span = Span(start_seconds=start_seconds)
    with pytest.raises(SpanOutside, match="the video is 10 s long") as caught:
        read_clips(ten_seconds, spec=SPEC, span=span)
    assert caught.value.codec == "h264"
    with pytest.raises(SpanOutside):
        next(read_windows(ten_seconds, spec=SPEC, stride_seconds=1, span=span, max_windows=9))
    read_clips(ten_seconds, spec=SPEC, span=Span(start_seconds=9.999))


@pytest.mark.parametrize(
    "stride", [Fraction(1, 10), Fraction(2, 5), Fraction(37, 100), Fraction(3)]
)
@pytest.mark.parametrize("name", CONTAINERS)
def test_windows_show_what_is_on_screen_and_the_last_ends_with_the_video(
    tmp_path: Path, name: str, stride: Fraction
) -> None:
    path = write_video(tmp_path / name, even_times(250, RATE), codec=CONTAINERS[name])
    last = 10 - Fraction(SPEC.num_frames) / Fraction(SPEC.frame_rate)
    starts = [*(k * stride for k in range(-(-last // stride))), last]
    chunks = list(read_windows(path, spec=SPEC, stride_seconds=float(stride), max_windows=100))
    assert joined(chunks) == (
        [shown(start) for start in starts],
        [round(start * 10**6) for start in starts],
    )


def test_windows_come_in_chunks_that_say_how_many_are_left(ten_seconds: Path) -> None:
    chunks = list(read_windows(ten_seconds, spec=SPEC, stride_seconds=0.25, max_windows=40))
    counts = [len(chunk.frames) for chunk in chunks]
    assert counts == [WINDOWS_AT_ONCE, WINDOWS_AT_ONCE, 38 - 2 * WINDOWS_AT_ONCE]
    assert [chunk.left for chunk in chunks] == [sum(counts[n + 1 :]) for n in range(3)]
    assert {chunk.info for chunk in chunks} == {read_clips(ten_seconds, spec=SPEC).info}


def test_windows_slide_over_a_span(ten_seconds: Path) -> None:
    span = Span(start_seconds=4.0, end_seconds=6.0)
    chunks = list(
        read_windows(ten_seconds, spec=SPEC, stride_seconds=0.5, span=span, max_windows=9)
    )
    starts = [Fraction(start, 10) for start in (40, 45, 50, 52)]
    assert joined(chunks)[0] == [shown(start, end=Fraction(6)) for start in starts]


@pytest.mark.parametrize("keyint", [12, 10_000], ids=["many key frames", "one key frame"])
def test_overlapping_windows_decode_no_packet_twice_and_none_ahead(
    tmp_path: Path, decoded_packets: list[int | None], keyint: int
) -> None:
    options = {"x264-params": f"scenecut=0:keyint={keyint}:bframes=0"}
    path = write_video(tmp_path / "a.mp4", even_times(1_000, RATE), options=options)
    windows = read_windows(path, spec=SPEC, stride_seconds=0.1, max_windows=1_000)
    first = next(windows)
    assert len(decoded_packets) < 100
    assert len(list(windows)) == -(-first.left // WINDOWS_AT_ONCE)
    given = [packet for packet in decoded_packets if packet is not None]
    assert len(given) == len(set(given)) <= 1_000


def test_windows_far_apart_decode_a_small_part(
    tmp_path: Path, decoded_packets: list[int | None]
) -> None:
    path = write_video(tmp_path / "a.mp4", even_times(3_000, RATE))
    chunks = list(read_windows(path, spec=SPEC, stride_seconds=20.0, max_windows=7))
    assert sum(len(chunk.frames) for chunk in chunks) == 7
    assert len(decoded_packets) <= 7 * (20 + 24 + 8)


def test_a_long_video_without_times_needs_no_more_memory_than_allowed(
    tmp_path: Path, decoded_packets: list[int | None]
) -> None:
    path = write_video(tmp_path / "a.avi", even_times(250, RATE), codec="mpeg4")
    picture_bytes = SPEC.crop**2 * 3
    limits = DecodeLimits(memory_bytes=4 * 40 * picture_bytes)
    found = list(read_windows(path, spec=SPEC, stride_seconds=0.3, max_windows=99, limits=limits))
    assert len(decoded_packets) > 2 * 250  # to know all times, then for the pictures
    expected = list(read_windows(path, spec=SPEC, stride_seconds=0.3, max_windows=99))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_array_equal(one.starts_us, other.starts_us)
        assert one.info == other.info
    np.testing.assert_array_equal(
        read_clips(path, spec=SPEC, limits=limits).frames, read_clips(path, spec=SPEC).frames
    )


def test_windows_of_real_videos_show_what_decoding_everything_shows(data_dir: Path) -> None:
    spec = ClipSpec(num_frames=8, frame_rate=12.5, short_side=36, crop=32)
    for path in sorted((data_dir / "odd").rglob("*.m*"))[::6]:
        try:
            chunks = list(read_windows(path, spec=spec, stride_seconds=0.3, max_windows=10**6))
        except VideoError:
            continue
        whole = read_frames(path, short_side=36)
        top, left = ((side - 32) // 2 for side in whole.frames.shape[1:3])
        cropped = whole.frames[:, top : top + 32, left : left + 32]
        for chunk in chunks:
            for window, start in zip(chunk.frames, chunk.starts_us, strict=True):
                moments = sample_times(int(start), spec=spec)
                places = frames_on_screen(moments, frame_times_us=whole.times_us)
                np.testing.assert_array_equal(window, cropped[places], err_msg=path.name)
        assert chunks[-1].starts_us[-1] == max(0, whole.duration_us - clip_length_us(spec))


def test_too_many_windows_are_refused_with_a_stride_that_would_do(ten_seconds: Path) -> None:
    with pytest.raises(
        TooManyWindows, match=r"^47 windows; at most 9 .* slide by 1\.15 s"
    ) as caught:
        next(read_windows(ten_seconds, spec=SPEC, stride_seconds=0.2, max_windows=9))
    assert caught.value.codec == "h264"
    chunks = list(read_windows(ten_seconds, spec=SPEC, stride_seconds=1.15, max_windows=9))
    assert [len(chunk.frames) for chunk in chunks] == [9]
    with pytest.raises(TooManyWindows, match=r"^9200001 windows"):
        next(read_windows(ten_seconds, spec=SPEC, stride_seconds=1e-6, max_windows=4096))


@pytest.mark.parametrize("stride_seconds", [0.0, -1.0, 1e-9, float("nan"), float("inf")])
def test_a_stride_or_maximum_out_of_range_is_refused_at_once(
    ten_seconds: Path, stride_seconds: float
) -> None:
    with pytest.raises(ValueError, match=f"stride_seconds .* got {stride_seconds}"):
        read_windows(ten_seconds, spec=SPEC, stride_seconds=stride_seconds, max_windows=9)
    with pytest.raises(ValueError, match="max_windows must be at least 2, got 1"):
        read_windows(ten_seconds, spec=SPEC, stride_seconds=1.0, max_windows=1)
