import io
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from rich.console import Console

from motionfit.training.manifest import read_manifest
from motionfit.training.retrieval import Query
from motionfit.training.retrieval_picture import (
    RIGHT,
    SIDE,
    WRONG,
    draw_retrievals,
    examples_of,
    middle_frames,
)


def query(video: str, *, label: str, found: str) -> Query:
    names = tuple(f"videos/{one}{number}.mp4" for number, one in enumerate(found.split()))
    return Query(
        video=video, label=label, nearest=names, nearest_labels=tuple(found.split()), rank=0
    )


def count(picture: Path, colour: str) -> int:
    """Pixels of exactly that colour."""
    pixels = imread(picture)[..., :3]
    return int((np.abs(pixels - np.array(to_rgb(colour))).max(axis=-1) < 0.01).sum())


def test_examples_are_one_of_each_class_drawn_blindly_but_the_same_each_time() -> None:
    found = [query(f"{n}", label="ab"[n % 2], found="a b") for n in range(40)]
    first = examples_of(found, seed=0)
    assert [one.label for one in first] == ["a", "b"]
    assert first == examples_of(found, seed=0)
    assert len({examples_of(found, seed=seed) for seed in range(5)}) > 1


def test_the_picture_frames_right_neighbours_green_and_wrong_ones_red(
    dataset: Path, tmp_path: Path
) -> None:
    right = query("videos/red5.mp4", label="red", found="red red red red red")
    wrong = query("videos/red5.mp4", label="red", found="blue blue")
    pictures = middle_frames(
        (right, wrong), rows=read_manifest(dataset), console=Console(file=io.StringIO())
    )
    assert sorted(pictures) == sorted({"videos/red5.mp4", *right.nearest, *wrong.nearest})
    assert {one.shape for one in pictures.values()} == {(SIDE, SIDE, 3)}
    for name, examples, seen, unseen in (
        ("right", (right,), RIGHT, WRONG),
        ("wrong", (wrong,), WRONG, RIGHT),
    ):
        path = tmp_path / f"{name}.png"
        draw_retrievals(examples, path, pictures=pictures, title="$ a title")
        assert count(path, seen) > 500
        assert count(path, unseen) == 0


def test_a_class_name_in_any_script_and_a_missing_picture_do_no_harm(tmp_path: Path) -> None:
    strange = query("q", label="跳高" * 30, found="跳高 b")
    draw_retrievals((strange,), tmp_path / "a.png", pictures={}, title="跳高")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
