"""Sampling: exact examples, and what holds for every video and every spec."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionfit.inference.clip import ClipSpec
from motionfit.inference.sampling import (
    EARLY_US,
    Span,
    clip_length_us,
    clip_starts,
    frames_on_screen,
    sample_times,
    to_microseconds,
    window_count,
    window_starts,
)

# The same examples at every run, however slow the machine.
always = settings(derandomize=True, deadline=None, max_examples=100)


def spec_of(num_frames: int = 8, frame_rate: float = 10.0) -> ClipSpec:
    return ClipSpec(num_frames=num_frames, frame_rate=frame_rate, short_side=72, crop=64)


specs = st.builds(
    spec_of,
    num_frames=st.integers(1, 64),
    frame_rate=st.one_of(
        st.sampled_from([10.0, 12.5, 15.0, 25.0, 29.97, 30000 / 1001, 60.0]),
        st.floats(0.05, 240),
    ),
)
durations_us = st.integers(0, 4 * 3_600 * 10**6)
frame_times_us = st.lists(st.integers(0, 10**7), min_size=1, max_size=200, unique=True).map(
    lambda times: np.array(sorted(times), np.int64)
)


@pytest.mark.parametrize(
    ("seconds", "num_clips", "starts_us"),
    [
        (2.0, 1, [600_000]),
        (2.0, 2, [300_000, 900_000]),
        (10.0, 4, [1_150_000, 3_450_000, 5_750_000, 8_050_000]),
        (0.8, 3, [0, 0, 0]),
        (0.5, 2, [0, 0]),
        (0.0, 1, [0]),
    ],
)
def test_clips_start_in_the_middles_of_equal_parts(
    seconds: float, num_clips: int, starts_us: list[int]
) -> None:
    starts = clip_starts(round(seconds * 1e6), spec=spec_of(), num_clips=num_clips)
    assert starts.dtype == np.int64
    assert starts.tolist() == starts_us


@pytest.mark.parametrize(
    ("seconds", "stride_seconds", "starts_us"),
    [
        (2.0, 0.5, [0, 500_000, 1_000_000, 1_200_000]),
        (2.0, 0.4, [0, 400_000, 800_000, 1_200_000]),
        (2.0, 0.7, [0, 700_000, 1_200_000]),
        (2.0, 9.0, [0, 1_200_000]),
        (0.8, 0.5, [0]),
        (0.5, 0.5, [0]),
    ],
)
def test_windows_slide_by_the_stride_and_the_last_one_ends_with_the_video(
    seconds: float, stride_seconds: float, starts_us: list[int]
) -> None:
    duration_us, stride_us = round(seconds * 1e6), round(stride_seconds * 1e6)
    starts = window_starts(duration_us, spec=spec_of(), stride_us=stride_us)
    assert starts.dtype == np.int64
    assert starts.tolist() == starts_us
    assert window_count(duration_us, spec=spec_of(), stride_us=stride_us) == len(starts_us)


@pytest.mark.parametrize(
    ("start", "end", "named"),
    [
        (-0.1, None, "start_seconds must be a number from 0 on, got -0.1"),
        (math.nan, None, "got nan"),
        (math.inf, None, "got inf"),
        (1.0, 1.0, r"end_seconds must be a number over start_seconds \(1\), got 1.0"),
        (0.0, 0.0, "got 0.0"),
        (0.0, math.nan, "got nan"),
        (0.0, math.inf, "got inf"),
    ],
)
def test_what_is_no_span_is_refused(start: float, end: float | None, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Span(start_seconds=start, end_seconds=end)


@pytest.mark.parametrize(
    ("spec", "start_us", "times_us"),
    [
        (spec_of(4, 10.0), 0, [0, 100_000, 200_000, 300_000]),
        (spec_of(4, 12.5), 5, [5, 80_005, 160_005, 240_005]),
        (spec_of(4, 30.0), 0, [0, 33_333, 66_666, 100_000]),
        (spec_of(4, 30000 / 1001), 0, [0, 33_366, 66_733, 100_100]),
        (spec_of(3, 0.5), 0, [0, 2_000_000, 4_000_000]),
    ],
)
def test_moments_are_a_sampling_interval_apart(
    spec: ClipSpec, start_us: int, times_us: list[int]
) -> None:
    assert sample_times(start_us, spec=spec).tolist() == times_us


@pytest.mark.parametrize(
    ("moment_us", "frame"),
    [(-5, 0), (0, 0), (38_999, 0), (39_000, 1), (40_000, 1), (79_000, 2), (10**9, 2)],
)
def test_a_frame_counts_from_a_millisecond_before_its_time(moment_us: int, frame: int) -> None:
    shown = frames_on_screen(
        np.array([moment_us], np.int64), frame_times_us=np.array([0, 40_000, 80_000], np.int64)
    )
    assert shown.tolist() == [frame]


@pytest.mark.parametrize(
    ("rate", "frames"),
    [
        (60, [0, 6, 12, 18, 24, 30, 36, 42]),
        (50, [0, 5, 10, 15, 20, 25, 30, 35]),
        (30, [0, 3, 6, 9, 12, 15, 18, 21]),
        (Fraction(30000, 1001), [0, 3, 6, 9, 12, 15, 18, 21]),
        (25, [0, 2, 5, 7, 10, 12, 15, 17]),
        (24, [0, 2, 4, 7, 9, 12, 14, 16]),
        (15, [0, 1, 3, 4, 6, 7, 9, 10]),
        (10, [0, 1, 2, 3, 4, 5, 6, 7]),
        (5, [0, 0, 1, 1, 2, 2, 3, 3]),
        (1, [0, 0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_ten_frames_a_second_of_each_frame_rate(rate: Fraction | int, frames: list[int]) -> None:
    times = np.array([to_microseconds(i, 1 / Fraction(rate)) for i in range(100)], np.int64)
    shown = frames_on_screen(sample_times(0, spec=spec_of()), frame_times_us=times)
    assert shown.tolist() == frames


@pytest.mark.parametrize(
    ("ticks", "time_base", "microseconds"),
    [
        (1, Fraction(1, 25), 40_000),
        (1, Fraction(1, 90_000), 11),
        (-1, Fraction(1, 90_000), -11),
        (3, Fraction(1001, 30_000), 100_100),
        (1, Fraction(1, 3_000_000), 0),
        (-2, Fraction(1, 3_000_000), -1),
        (2**33, Fraction(1, 90_000), 95_443_717_689),
    ],
)
def test_ticks_round_to_the_nearest_microsecond(
    ticks: int, time_base: Fraction, microseconds: int
) -> None:
    assert to_microseconds(ticks, time_base) == microseconds


@always
@given(duration_us=durations_us, spec=specs, num_clips=st.integers(1, 64))
def test_clips_lie_inside_the_video_in_order_and_evenly_spread(
    duration_us: int, spec: ClipSpec, num_clips: int
) -> None:
    starts = clip_starts(duration_us, spec=spec, num_clips=num_clips)
    length = clip_length_us(spec)
    assert starts.shape == (num_clips,)
    assert starts[0] >= 0
    assert starts[-1] <= max(0, duration_us - length)
    assert starts[-1] + sample_times(0, spec=spec)[-1] <= max(duration_us, length)
    gaps = np.diff(starts)
    assert (gaps >= 0).all()
    if len(gaps):
        assert gaps.max() - gaps.min() <= 1
    before, after = starts[0], max(0, duration_us - length) - starts[-1]
    assert abs(int(before) - int(after)) <= 1


@always
@given(
    duration_us=durations_us,
    spec=specs,
    stride_us=st.one_of(st.integers(10**6, 10**10), st.integers(5 * 10**6, 2 * 10**7)),
)
def test_windows_leave_out_nothing_that_a_stride_of_a_clip_covers(
    duration_us: int, spec: ClipSpec, stride_us: int
) -> None:
    starts = window_starts(duration_us, spec=spec, stride_us=stride_us)
    assert len(starts) == window_count(duration_us, spec=spec, stride_us=stride_us)
    assert starts[0] == 0
    assert starts[-1] == max(0, duration_us - clip_length_us(spec))
    gaps = np.diff(starts)
    assert (gaps > 0).all()
    assert (gaps <= stride_us).all()
    assert (gaps[:-1] == stride_us).all()


@always
@given(spec=specs, start_us=durations_us)
def test_moments_ascend_at_the_sampling_rate(spec: ClipSpec, start_us: int) -> None:
    times = sample_times(start_us, spec=spec)
    exact = start_us + np.arange(spec.num_frames) * 1e6 / spec.frame_rate
    assert times[0] == start_us
    assert (np.diff(times) > 0).all()
    # The rate is taken as a fraction with a denominator of at most 1001.
    assert np.abs(times - exact).max() <= 1 + 1e-3 * (exact[-1] - start_us)
    assert times[-1] < start_us + clip_length_us(spec)


@always
@given(frame_times=frame_times_us, moments=st.lists(st.integers(0, 2 * 10**7), min_size=1))
def test_the_frame_taken_is_the_last_one_due(frame_times: np.ndarray, moments: list[int]) -> None:
    shown = frames_on_screen(np.array(moments, np.int64), frame_times_us=frame_times)
    for moment, frame in zip(moments, shown.tolist(), strict=True):
        due = [i for i, time in enumerate(frame_times) if time <= moment + EARLY_US]
        assert frame == (due[-1] if due else 0)


@always
@given(frame_times=frame_times_us, spec=specs, num_clips=st.integers(1, 8))
def test_frames_of_a_clip_never_run_backwards(
    frame_times: np.ndarray, spec: ClipSpec, num_clips: int
) -> None:
    frame_times = frame_times - frame_times[0]
    for start in clip_starts(int(frame_times[-1]) + 40_000, spec=spec, num_clips=num_clips):
        shown = frames_on_screen(sample_times(int(start), spec=spec), frame_times_us=frame_times)
        assert (np.diff(shown) >= 0).all()
        assert shown.min() >= 0
        assert shown.max() < len(frame_times)


@always
@given(
    rates=st.tuples(*[st.sampled_from([24, 25, Fraction(30000, 1001), 30, 50, 60, 120])] * 2),
    spec=specs,
    start_us=st.integers(0, 2 * 10**6),
)
def test_two_frame_rates_show_the_same_moments(
    rates: tuple[Fraction, Fraction], spec: ClipSpec, start_us: int
) -> None:
    moments = sample_times(start_us, spec=spec)
    for rate in rates:
        count = int(moments[-1] / 1e6 * rate) + 2
        times = np.array([to_microseconds(i, 1 / Fraction(rate)) for i in range(count)], np.int64)
        late = moments - times[frames_on_screen(moments, frame_times_us=times)]
        assert late.min() >= -EARLY_US
        assert late.max() <= 1e6 / rate


@always
@given(
    rate=st.sampled_from([5, 10, 15, 24, 25, 30, 50, 60]),
    frame_rate=st.sampled_from([5.0, 10.0, 12.5, 15.0, 25.0, 30.0]),
    start=st.integers(0, 100),
)
def test_rounding_to_a_millisecond_changes_no_frame(
    rate: int, frame_rate: float, start: int
) -> None:
    # Clips that start on a frame: where exact and rounded times differ in order.
    exact = [Fraction(i, rate) for i in range(1_000)]
    times = np.array([round(time * 10**6) for time in exact], np.int64)
    rounded = np.array([round(time * 1_000) * 1_000 for time in exact], np.int64)
    moments = sample_times(int(times[start]), spec=spec_of(8, frame_rate))
    np.testing.assert_array_equal(
        frames_on_screen(moments, frame_times_us=times),
        frames_on_screen(moments, frame_times_us=rounded),
    )
