import numpy as np
from numpy.typing import NDArray

from motionfit.inference.sampling import Times
from motionfit.training.distinct import Distinct
from motionfit.training.flow_pairs import Pairs, find_pairs


def distinct(shown_us: Times, *, taken_us: NDArray[np.float64] | None = None) -> Distinct:
    frames = 10 * np.arange(len(shown_us))  # that they are no places is part of what is tested
    taken = shown_us.astype(np.float64) if taken_us is None else taken_us
    return Distinct(frames=frames, shown_us=shown_us, taken_us=taken)


def pairs_of(
    found: Distinct, moments_us: list[int] | list[list[int]], *, gap: float = 0.1
) -> Pairs:
    pairs = find_pairs(found, moments_us=np.array(moments_us), gap_seconds=gap)
    assert pairs is not None
    return pairs


FIFTY = distinct(np.arange(50) * 20_000)  # 50 frames a second, for a second


def test_the_first_is_on_screen_and_the_second_the_nearest_to_a_gap_later() -> None:
    pairs = pairs_of(FIFTY, [0, 109_000, 119_500])
    np.testing.assert_array_equal(pairs.first, [0, 50, 60])
    np.testing.assert_array_equal(pairs.second, [50, 100, 110])
    np.testing.assert_allclose(pairs.seconds, 0.1)
    np.testing.assert_array_equal(pairs.places, [0, 1, 2])


def test_a_pair_that_several_moments_have_is_there_once() -> None:
    pairs = pairs_of(FIFTY, [[0, 200_000], [205_000, 0]])
    np.testing.assert_array_equal(pairs.first, [0, 100])
    np.testing.assert_array_equal(pairs.places, [[0, 1], [1, 0]])
    assert pairs.places.dtype == np.int32


def test_the_second_is_later_than_the_first_however_small_the_gap() -> None:
    pairs = pairs_of(FIFTY, [0, 500_000], gap=0.005)
    np.testing.assert_array_equal(pairs.second - pairs.first, [10, 10])
    np.testing.assert_allclose(pairs.seconds, 0.02)


def test_the_time_between_is_that_between_taking_them() -> None:
    shown = np.array([0, 33, 67, 133, 167, 200]) * 1_000
    found = distinct(shown, taken_us=np.arange(6, dtype=np.float64) * 40_000)
    pairs = pairs_of(found, [34_000, 135_000], gap=0.04)
    np.testing.assert_array_equal(pairs.first, [10, 30])
    np.testing.assert_array_equal(pairs.second, [20, 40])
    np.testing.assert_allclose(pairs.seconds, 0.04)


def test_moments_after_the_end_have_the_last_pair_a_gap_apart() -> None:
    pairs = pairs_of(FIFTY, [870_000, 979_000, 5_000_000])
    np.testing.assert_array_equal(pairs.first[pairs.places], [430, 440, 440])
    np.testing.assert_array_equal(pairs.second[pairs.places], [480, 490, 490])


def test_two_frames_are_one_pair_and_one_frame_is_none() -> None:
    two = distinct(np.array([0, 40_000]))
    pairs = pairs_of(two, [0, 30_000, 90_000])
    np.testing.assert_array_equal(pairs.places, [0, 0, 0])
    np.testing.assert_allclose(pairs.seconds, 0.04)
    one = distinct(np.array([0]))
    assert find_pairs(one, moments_us=np.array([0, 100]), gap_seconds=0.1) is None
