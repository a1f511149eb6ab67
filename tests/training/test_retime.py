from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.filter import Graph

from motionfit.inference.clip import ClipSpec
from motionfit.inference.video import read_clips
from motionfit.training.frame_rates import stored_rate
from motionfit.training.retime import (
    STANDARD_RATES,
    nominal_rate,
    other_rate,
    rates_by_frequency,
    retimed,
)
from motionfit.training.views import read_views

PAL, NTSC = STANDARD_RATES
GREY_STEP = 3
SPEC = ClipSpec(num_frames=8, frame_rate=10.0, short_side=32, crop=16, num_clips=5)


def times_at(rate: Fraction, count: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array([round(i * 1_000_000 / rate) for i in range(count)], np.int64)


def grey_pictures(count: int) -> list[av.VideoFrame]:
    """Pictures that tell their number by their brightness."""
    levels = [np.full((48, 64, 3), 8 + GREY_STEP * i, np.uint8) for i in range(count)]
    return [av.VideoFrame.from_ndarray(level, format="rgb24") for level in levels]


def encode(path: Path, frames: list[av.VideoFrame], *, rate: Fraction) -> Path:
    with av.open(path, mode="w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.bit_rate = 4_000_000
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def converted(path: Path, *, rate: Fraction) -> list[av.VideoFrame]:
    """The pictures of a file after FFmpeg's own conversion of the frame rate."""
    graph, found = Graph(), []
    with av.open(path) as container:
        stream = container.streams.video[0]
        source = graph.add_buffer(template=stream, time_base=stream.time_base)
        fps = graph.add("fps", f"{rate.numerator}/{rate.denominator}")
        sink = graph.add("buffersink")
        source.link_to(fps)
        fps.link_to(sink)
        graph.configure()
        for frame in (*container.decode(stream), None):
            graph.vpush(frame)
            while True:
                try:
                    found.append(graph.vpull())
                except (av.FFmpegError, EOFError):
                    break
    return found


def numbers_shown(clips: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> list[list[int]]:
    """The number of the picture behind each frame of clips (K, T, S, S, 3)."""
    brightness = clips.mean(axis=(2, 3, 4))
    return np.round((brightness - 8) / GREY_STEP).astype(int).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("own", "other"), [(PAL, NTSC), (NTSC, PAL), (Fraction(30), PAL), (Fraction(12), Fraction(50))]
)
def test_clips_of_a_retimed_video_are_those_of_a_really_converted_file(
    tmp_path: Path, own: Fraction, other: Fraction
) -> None:
    original = encode(tmp_path / "own.mp4", grey_pictures(75), rate=own)
    again = encode(tmp_path / "other.mp4", converted(original, rate=other), rate=other)
    assert stored_rate(again) == other
    views = read_views(original, other, spec=SPEC, clip_counts=(1, SPEC.num_clips))
    assert views.retimed is not None
    in_memory = numbers_shown(views.cropped(views.retimed, crop=SPEC.crop, crops=1))
    assert in_memory == numbers_shown(read_clips(again, spec=SPEC).frames)
    as_stored = numbers_shown(views.cropped(views.clips[-1], crop=SPEC.crop, crops=1))
    assert as_stored == numbers_shown(read_clips(original, spec=SPEC).frames)
    if own in STANDARD_RATES:
        assert in_memory != as_stored


def test_frames_are_doubled_or_dropped_and_the_length_stays() -> None:
    faster = retimed(times_at(PAL, 50), duration_us=2_000_000, rate=Fraction(50))
    assert faster.sources.tolist() == np.repeat(np.arange(50), 2).tolist()
    slower = retimed(times_at(PAL, 50), duration_us=2_000_000, rate=Fraction(5))
    assert slower.sources.tolist() == [2, 7, 12, 17, 22, 27, 32, 37, 42, 47]
    assert slower.times_us.tolist() == list(range(0, 2_000_000, 200_000))
    assert (faster.duration_us, slower.duration_us) == (2_000_000, 2_000_000)


def test_the_same_rate_changes_nothing() -> None:
    times = times_at(NTSC, 200)
    same = retimed(times, duration_us=round(200 * 1_000_000 / NTSC), rate=NTSC)
    assert same.sources.tolist() == list(range(200))
    assert np.abs(same.times_us - times).max() <= 1


def test_a_single_picture_stays_one() -> None:
    one = retimed(np.zeros(1, np.int64), duration_us=1, rate=PAL)
    assert (one.sources.tolist(), one.times_us.tolist()) == ([0], [0])


def test_a_video_goes_to_the_commonest_rate_that_is_really_another() -> None:
    choices = rates_by_frequency([NTSC, PAL, Fraction(30), None, Fraction(30), PAL, Fraction(30)])
    assert choices == (Fraction(30), PAL, NTSC)
    assert other_rate(NTSC, choices=choices) == PAL  # 30 would drop a frame in a thousand
    assert other_rate(PAL, choices=choices) == 30
    assert other_rate(None, choices=choices) == 30
    assert other_rate(PAL, choices=(PAL,)) is None


def test_where_all_have_one_rate_television_gives_the_other() -> None:
    assert other_rate(PAL, choices=rates_by_frequency([PAL, PAL])) == NTSC
    assert other_rate(Fraction(30), choices=rates_by_frequency([Fraction(30)])) == PAL
    assert other_rate(Fraction(12), choices=rates_by_frequency([Fraction(12)])) == PAL


@pytest.mark.parametrize(
    ("number", "rate"),
    [
        (25, PAL),
        (29.97, NTSC),
        (23.976, Fraction(24_000, 1_001)),
        (30, 30),
        (12.5, Fraction(25, 2)),
    ],
)
def test_a_decimal_number_means_the_rate_that_television_uses(
    number: float, rate: Fraction
) -> None:
    assert nominal_rate(number) == rate
