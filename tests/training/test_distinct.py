from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from motionfit.inference.video import Frames, read_frames
from motionfit.training.distinct import find_distinct
from motionfit.training.retime import Retimed, retimed
from tests.training.flow_videos import FRAME_US, moving

FILM = "ucf101_10/HighJump/v_HighJump_g11_c02.mp4"
"""25 frames a second, none of them a copy."""
RATE_30 = Fraction(30_000, 1_001)


def grey(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in pictures], np.uint8)


@dataclass(frozen=True)
class Film:
    video: Frames
    grey: NDArray[np.uint8]
    at_30: Retimed


@pytest.fixture(scope="module")
def film(data_dir: Path) -> Film:
    video = read_frames(data_dir / FILM, short_side=128)
    at_30 = retimed(video.times_us, duration_us=video.duration_us, rate=RATE_30)
    return Film(video, grey(video.frames), at_30)


def test_every_frame_of_a_film_is_distinct(film: Film) -> None:
    found = find_distinct(film.grey, times_us=film.video.times_us)
    np.testing.assert_array_equal(found.frames, np.arange(len(film.grey)))
    np.testing.assert_array_equal(found.taken_us, film.video.times_us)


def test_the_copies_of_a_film_stored_at_30_are_dropped_and_its_own_times_found(film: Film) -> None:
    noise = np.random.default_rng(0).integers(-1, 2, (len(film.at_30.sources), *film.grey[0].shape))
    stored = np.clip(film.grey[film.at_30.sources] + noise, 0, 255).astype(np.uint8)
    found = find_distinct(stored, times_us=film.at_30.times_us)
    expected = np.flatnonzero(np.diff(film.at_30.sources, prepend=-1))
    np.testing.assert_array_equal(found.frames, expected)
    np.testing.assert_array_equal(found.shown_us, film.at_30.times_us[expected])
    shown, taken = np.diff(found.shown_us), np.diff(found.taken_us)
    assert np.abs(shown - FRAME_US).max() > 20_000
    assert np.abs(taken - FRAME_US).max() < 1_000
    assert np.abs(found.taken_us - found.shown_us).max() < 1e6 / 30


def test_real_videos_at_30_have_the_copies_of_their_films(data_dir: Path) -> None:
    path = data_dir / "ucf101_10/HorseRiding/v_HorseRiding_g25_c01.mp4"
    video = read_frames(path, short_side=128)
    found = find_distinct(grey(video.frames), times_us=video.times_us)
    per_second = len(found.frames) / video.duration_us * 1e6
    assert video.info.frame_rate == pytest.approx(29.97, abs=0.01)
    assert per_second == pytest.approx(25, abs=0.5)
    even = np.abs(np.diff(found.taken_us) / FRAME_US - 1) < 0.02
    assert even.mean() > 0.9


def test_copies_that_stand_for_lost_frames_leave_the_times_as_they_are(film: Film) -> None:
    sources = np.arange(len(film.grey))
    lost = sources[sources % 6 == 3]
    sources[lost] -= 1
    found = find_distinct(film.grey[sources], times_us=film.video.times_us)
    np.testing.assert_array_equal(found.frames, np.setdiff1d(np.arange(len(film.grey)), lost))
    np.testing.assert_array_equal(found.taken_us, found.shown_us)


def test_slow_motion_is_no_copy() -> None:
    pictures = grey(moving(30, right=0.2, down=0))
    found = find_distinct(pictures, times_us=np.arange(30) * FRAME_US)
    assert len(found.frames) == 30


def test_something_small_that_moves_makes_frames_distinct() -> None:
    pictures = np.full((30, 128, 160), 90, np.uint8)
    for number, picture in enumerate(pictures):
        picture[60:68, 3 * number : 3 * number + 8] = 200
    found = find_distinct(pictures, times_us=np.arange(30) * FRAME_US)
    assert len(found.frames) == 30


def test_a_standstill_is_time_that_passes() -> None:
    move = grey(moving(24, right=3, down=0))
    pictures = np.concatenate([move[:12], np.repeat(move[11:12], 25, axis=0), move[12:]])
    times_us = np.arange(len(pictures)) * FRAME_US
    found = find_distinct(pictures, times_us=times_us)
    assert found.taken_us[-1] == pytest.approx(times_us[-1])
    assert np.diff(found.taken_us).max() > 0.9e6


def test_a_still_picture_has_one_distinct_frame() -> None:
    pictures = np.repeat(grey(moving(1, right=0, down=0)), 20, axis=0)
    found = find_distinct(pictures, times_us=np.arange(20) * FRAME_US)
    np.testing.assert_array_equal(found.frames, [0])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_videos_do(count: int) -> None:
    pictures = grey(moving(count, right=2, down=0))
    found = find_distinct(pictures, times_us=np.arange(count) * FRAME_US)
    np.testing.assert_array_equal(found.frames, np.arange(count))
