import os
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from motionfit.training.confusion import draw_confusion


def drawn(path: Path, *, labels: list[str]) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    counts = np.diag(np.full(len(labels), 9))
    draw_confusion(counts, path, labels=labels, title="a model on videos")
    return np.asarray(matplotlib.image.imread(path))


@pytest.mark.parametrize("classes", [2, 10, 101])
def test_every_class_has_room_for_its_name(tmp_path: Path, classes: int) -> None:
    picture = drawn(tmp_path / "c.png", labels=[f"a class {i}" for i in range(classes)])
    height, width = picture.shape[:2]
    assert min(height, width) >= 22 * classes  # pixels; a name of 7 points is 15 high
    assert max(height, width) < 4000


def test_the_diagonal_is_dark_and_the_rest_is_not(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "c.png", labels=["x", "y"])[..., :3]
    blue = np.argwhere((picture[..., 2] > 0.3) & (picture[..., 0] < 0.1))
    centre = blue.mean(axis=0)
    first, second = blue[blue[:, 0] < centre[0]], blue[blue[:, 0] > centre[0]]
    assert np.median(first[:, 1]) < np.median(second[:, 1])


def test_names_that_look_like_mathematics_or_lack_in_the_font_are_drawn_without_a_warning(
    tmp_path: Path,
) -> None:
    names = ["$x$", "a_b^c", "跳远", "<b>|", "a very long name of a class that would take all room"]
    assert drawn(tmp_path / "c.png", labels=names).size


def test_a_class_without_videos_is_an_empty_line(tmp_path: Path) -> None:
    counts = np.array([[3, 1], [0, 0]])
    draw_confusion(counts, tmp_path / "c.png", labels=["x", "y"], title="")
    assert os.path.getsize(tmp_path / "c.png")
