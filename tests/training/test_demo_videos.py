from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

from motionfit.inference.clip import ClipSpec
from motionfit.inference.video import read_clips
from motionfit.training.demo_videos import (
    FRAME_RATE,
    HEIGHT,
    MOTIONS,
    NUM_FRAMES,
    PARTS,
    DemoSize,
    made_pictures,
    make_demo,
)
from motionfit.training.manifest import read_manifest

SIZE = DemoSize(labelled=2, unlabelled=20, test=10)
SPEC = ClipSpec(
    num_frames=5, frame_rate=10.0, short_side=HEIGHT, crop=HEIGHT, num_clips=1
)  # the middle of a video

Videos = tuple[NDArray[np.uint8], list[str]]
"""Clips (V, T, S, S, 3) uint8 and labels of a part."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    make_demo(folder, size=SIZE, seed=4)
    return folder


@pytest.fixture(scope="module")
def parts(demo: Path) -> Mapping[str, Videos]:
    return {part: _read(demo / part) for part in ("unlabelled", "test")}


def _read(folder: Path) -> Videos:
    rows = read_manifest(folder)
    clips = [read_clips(row.path, spec=SPEC).frames[0] for row in rows]
    return np.stack(clips), [row.label for row in rows]


def test_every_part_holds_as_many_videos_of_each_class_as_asked_for(demo: Path) -> None:
    for part, each in zip(PARTS, (2, 20, 10), strict=True):
        labels = [row.label for row in read_manifest(demo / part)]
        assert sorted(labels) == sorted([*MOTIONS] * each)
        assert labels != sorted(labels)  # a place in the list tells no class either


def test_a_still_frame_tells_the_class_no_better_than_chance(parts: Mapping[str, Videos]) -> None:
    def stills(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        middles = clips[:, SPEC.num_frames // 2]
        small = np.stack(
            [cv2.resize(one, (18, 18), interpolation=cv2.INTER_AREA) for one in middles]
        )
        return small.reshape(len(small), -1).astype(np.float32)

    still = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    (clips, labels), (test_clips, test_labels) = parts["unlabelled"], parts["test"]
    still.fit(stills(clips), labels)
    chance = 1 / len(MOTIONS)
    deviation = np.sqrt(chance * (1 - chance) / len(test_labels))
    assert still.score(stills(clips), labels) > 0.8  # it can learn, by heart
    assert still.score(stills(test_clips), test_labels) < chance + 3 * deviation


def test_the_flow_tells_the_classes_apart(parts: Mapping[str, Videos]) -> None:
    def flows(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([_flow_figures(clip[1], clip[2]) for clip in clips])

    motion = make_pipeline(StandardScaler(), LogisticRegression())
    (clips, labels), (test_clips, test_labels) = parts["unlabelled"], parts["test"]
    motion.fit(flows(clips), labels)
    assert motion.score(flows(test_clips), test_labels) > 0.95


def _flow_figures(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean motion (right, down) of what moves, and how far it turns clockwise about its middle."""
    grey = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (first, second)]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
    rows, columns = np.nonzero(np.hypot(flow[..., 0], flow[..., 1]) > 0.5)
    right, down = flow[rows, columns].T
    turning = (columns - columns.mean()) * down - (rows - rows.mean()) * right
    return np.array([right.mean(), down.mean(), turning.mean()], np.float32)


@pytest.mark.parametrize(
    ("label", "moved_by"),
    [("left", (-1, 0)), ("right", (1, 0))],
)
def test_a_class_moves_as_its_name_says(label: str, moved_by: tuple[int, int]) -> None:
    pictures = made_pictures(label, numbers=np.random.default_rng(1))
    figures = _flow_figures(pictures[10], pictures[12])
    assert np.dot(figures[:2], moved_by) > 0.8 * np.abs(figures[:2]).sum() > 0.5


def test_clockwise_is_clockwise() -> None:
    for label, sign in (("clockwise", 1), ("anticlockwise", -1)):
        pictures = made_pictures(label, numbers=np.random.default_rng(1))
        assert sign * _flow_figures(pictures[10], pictures[12])[2] > 5


@pytest.mark.parametrize("label", MOTIONS)
def test_what_moves_has_no_edge_that_comes_into_sight(label: str) -> None:
    # Beyond it there would be no dots, and a picture as smooth as its gradient.
    videos = [made_pictures(label, numbers=np.random.default_rng(seed)) for seed in range(12)]
    first, middle, last = (
        np.mean([_roughness(video[place]) for video in videos])
        for place in (0, NUM_FRAMES // 2, -1)
    )
    assert 0.8 * middle < first < 1.25 * middle
    assert 0.8 * middle < last < 1.25 * middle


def _roughness(picture: NDArray[np.uint8]) -> float:
    return float(np.abs(np.diff(picture.astype(float), axis=1)).mean())


def test_only_a_part_of_the_picture_moves() -> None:
    # So the motion is there after the camera's motion, the mean of the flow, is taken away.
    for label in MOTIONS:
        pictures = made_pictures(label, numbers=np.random.default_rng(2)).astype(int)
        moved = (np.abs(pictures - pictures[0]).max(axis=(0, 3)) > 8).mean()
        assert 0.2 < moved < 0.7


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    small = DemoSize(labelled=1, unlabelled=1, test=1)
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        make_demo(tmp_path / name, size=small, seed=seed)
    one, again, other = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*.*")
        }
        for name in ("one", "again", "other")
    )
    assert one == again
    assert one != other
    videos = [content for path, content in one.items() if path.suffix == ".mp4"]
    assert len(set(videos)) == len(videos)


def test_what_was_stopped_is_completed_and_what_is_complete_is_left(
    demo: Path, tmp_path: Path
) -> None:
    small = DemoSize(labelled=1, unlabelled=1, test=1)
    make_demo(tmp_path, size=small, seed=0)
    kept, lost = tmp_path / "labelled" / "labelled-0000.mp4", tmp_path / "test" / "test-0002.mp4"
    content, written = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.write_bytes(content[:99])
    (lost.parent / "metadata.csv").unlink()
    make_demo(tmp_path, size=small, seed=0)
    assert kept.stat().st_mtime_ns == written
    assert lost.read_bytes() == content


def test_the_videos_are_ordinary_ones(demo: Path) -> None:
    clips = read_clips(read_manifest(demo / "test")[0].path, spec=SPEC)
    assert clips.frames.shape == (1, SPEC.num_frames, HEIGHT, HEIGHT, 3)
    assert SPEC.num_frames / SPEC.frame_rate < NUM_FRAMES / FRAME_RATE
