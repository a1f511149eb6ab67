"""Rows of data sets whose labels need not be known."""

from pathlib import Path

import pytest

from motionfit.inference.errors import DatasetError
from motionfit.training.manifest import Filter, read_manifest
from motionfit.training.unlabelled import UNKNOWN, of_one_class, read_unlabelled


def touched(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names_and_labels(source: Path) -> list[tuple[str, str]]:
    return [(row.name, row.label) for row in read_unlabelled(source, lists=None, where=())]


def test_videos_of_a_folder_are_found_however_deep_they_lie(tmp_path: Path) -> None:
    root = touched(tmp_path, "b.mp4", "wave/2020/a.mp4", "wave/c.mp4", ".hidden/d.mp4", ".e.mp4")
    assert names_and_labels(root) == [
        ("b.mp4", UNKNOWN),
        ("wave/2020/a.mp4", "wave"),
        ("wave/c.mp4", "wave"),
    ]


def test_a_csv_needs_only_the_column_path(tmp_path: Path) -> None:
    touched(tmp_path, "b.mp4", "deep/a.mp4")
    (tmp_path / "list.csv").write_text("path,camera\ndeep/a.mp4,left\nb.mp4,right\n")
    assert names_and_labels(tmp_path / "list.csv") == [("b.mp4", ""), ("deep/a.mp4", "")]
    only = read_unlabelled(
        tmp_path / "list.csv", lists=None, where=[Filter(column="camera", values=("left",))]
    )
    assert [row.name for row in only] == ["deep/a.mp4"]


def test_labels_of_a_csv_may_be_known_for_some_videos_only(tmp_path: Path) -> None:
    touched(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "metadata.csv").write_text("path,label\na.mp4,wave\nb.mp4,\n")
    assert names_and_labels(tmp_path) == [("a.mp4", "wave"), ("b.mp4", UNKNOWN)]


def test_a_labelled_data_set_has_the_same_rows_as_when_read_as_one(dataset: Path) -> None:
    assert read_unlabelled(dataset, lists=None, where=()) == read_manifest(dataset)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file\na.mp4\n", "lacks the column path; it has file"),
        ("path,label\n,wave\n", "line 2: path must not be empty"),
        ("path\na.mp4\na.mp4\n", "names a.mp4 more than once"),
        ("path\na.mp4\nb.mp4\n", "names 1 videos of 2 that are not there: b.mp4"),
        ("path\n", "names no video"),
    ],
)
def test_a_csv_that_is_not_right_is_refused(tmp_path: Path, table: str, message: str) -> None:
    touched(tmp_path, "a.mp4")
    (tmp_path / "metadata.csv").write_text(table)
    with pytest.raises(DatasetError, match=message):
        read_unlabelled(tmp_path, lists=None, where=())


def test_a_folder_that_is_not_there_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no data set at"):
        read_unlabelled(tmp_path / "none", lists=None, where=())
    with pytest.raises(DatasetError, match="give a folder of videos"):
        read_unlabelled(tmp_path, lists=None, where=())


def test_readers_that_keep_every_class_see_one_class(dataset: Path) -> None:
    rows = read_unlabelled(dataset, lists=None, where=())
    assert len({row.label for row in rows}) == 2
    alike = of_one_class(rows)
    assert len({row.label for row in alike}) == 1
    assert [row.name for row in alike] == [row.name for row in rows]
