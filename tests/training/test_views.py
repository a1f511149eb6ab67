from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import VideoError
from motionfit.inference.video import read_clips, read_frames
from motionfit.training.views import VideoViews, central, crop_corners, read_views

SPEC = ClipSpec(num_frames=8, frame_rate=10.0, short_side=40, crop=32, num_clips=4)


def assert_same_as_serving(path: Path, *, counts: tuple[int, ...] = (1, 4, 10)) -> None:
    views = read_views(path, None, spec=SPEC, clip_counts=counts)
    for count, clips in zip(counts, views.clips, strict=True):
        seen = views.cropped(clips, crop=SPEC.crop, crops=1)
        expected = read_clips(path, spec=SPEC, num_clips=count).frames
        assert np.array_equal(seen, expected), f"{path.name}, {count} clips"


def test_the_centre_crop_is_exactly_what_serving_sees(real_clip: Path) -> None:
    assert_same_as_serving(real_clip)


def test_the_centre_crop_is_what_serving_sees_in_odd_files_too(data_dir: Path) -> None:
    compared = 0
    for path in sorted(path for path in (data_dir / "odd").rglob("*") if path.is_file()):
        try:
            notes = read_frames(path, short_side=8).info.notes
        except VideoError:
            continue
        # Behind damage, a decoder that was sent to a key frame may know more than one that came
        # all the way.
        if not any("damaged" in note for note in notes):
            assert_same_as_serving(path, counts=(3,))
            compared += 1
    assert compared > 30


def test_only_frames_that_a_clip_shows_are_kept(real_clip: Path) -> None:
    views = read_views(real_clip, None, spec=SPEC, clip_counts=(1,))
    assert len(views.frames) <= SPEC.num_frames
    assert sorted(set(views.clips[0].ravel())) == list(range(len(views.frames)))
    assert views.retimed is None


def test_a_retimed_video_gives_as_many_clips_as_the_last_count(real_clip: Path) -> None:
    views = read_views(real_clip, Fraction(15), spec=SPEC, clip_counts=(1, 2, 3))
    assert [one.shape for one in views.clips] == [(1, 8), (2, 8), (3, 8)]
    assert views.retimed is not None
    assert views.retimed.shape == (3, 8)


def test_three_crops_of_each_clip_follow_one_another_along_the_long_side(real_clip: Path) -> None:
    frames = np.arange(4 * 6 * 10 * 3, dtype=np.uint8).reshape(4, 6, 10, 3)
    info = read_views(real_clip, None, spec=SPEC, clip_counts=(1,)).info
    clips = np.array([[0, 1], [2, 3]])
    views = VideoViews(frames=frames, clips=(clips,), retimed=None, info=info)
    found = views.cropped(clips, crop=4, crops=3)
    assert found.shape == (6, 2, 4, 4, 3)
    for number, (clip, left) in enumerate([(0, 0), (0, 3), (0, 6), (1, 0), (1, 3), (1, 6)]):
        assert np.array_equal(found[number], frames[clips[clip], 1:5, left : left + 4])


@pytest.mark.parametrize(
    ("size", "corners"),
    [
        ((6, 10), [(1, 0), (1, 3), (1, 6)]),
        ((10, 6), [(0, 1), (3, 1), (6, 1)]),
        ((7, 7), [(1, 0), (1, 1), (1, 3)]),
        ((4, 4), [(0, 0), (0, 0), (0, 0)]),
    ],
)
def test_crops_lie_at_both_ends_and_in_the_middle(
    size: tuple[int, int], corners: list[tuple[int, int]]
) -> None:
    assert crop_corners(*size, crop=4, crops=3) == corners
    assert crop_corners(*size, crop=4, crops=1) == [corners[1]]


def test_the_central_square_is_the_one_crop() -> None:
    clips = np.arange(2 * 3 * 24 * 32 * 2).reshape(2, 3, 24, 32, 2)
    assert np.array_equal(central(clips, crop=16), clips[:, :, 4:20, 8:24])
