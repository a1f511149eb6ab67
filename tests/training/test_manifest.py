from pathlib import Path

import pytest

from motionfit.inference.errors import DatasetError
from motionfit.training.manifest import (
    data_hash,
    labels_of,
    matching,
    parse_filter,
    read_manifest,
    without,
)

CSV = "path,label,group\nb/2.mp4,jump,g2\nb/1.mp4,jump,g1\na/1.mp4,run,g1\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for name in ("b/2.mp4", "b/1.mp4", "a/1.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    path = tmp_path / "metadata.csv"
    path.write_text(CSV)
    return path


def test_a_csv_and_the_folder_that_holds_it_are_the_same_data_set(table: Path) -> None:
    rows = read_manifest(table)
    assert rows == read_manifest(table.parent)
    assert [(row.name, row.label, row.columns["group"]) for row in rows] == [
        ("a/1.mp4", "run", "g1"),
        ("b/1.mp4", "jump", "g1"),
        ("b/2.mp4", "jump", "g2"),
    ]
    assert all(row.path.is_file() for row in rows)


def test_in_a_folder_each_sub_folder_is_a_class(table: Path) -> None:
    table.unlink()
    (table.parent / "README.txt").write_text("not in a class")
    (table.parent / "a" / ".hidden.mp4").write_bytes(b"")
    (table.parent / "a" / "deeper").mkdir()
    (table.parent / "a" / "deeper" / "3.avi").write_bytes(b"")
    rows = read_manifest(table.parent)
    assert [(row.name, row.label) for row in rows] == [
        ("a/1.mp4", "a"),
        ("a/deeper/3.avi", "a"),
        ("b/1.mp4", "b"),
        ("b/2.mp4", "b"),
    ]
    assert labels_of(rows) == ("a", "b")


def test_filters_keep_the_rows_that_match_all_of_them(table: Path) -> None:
    rows = read_manifest(table)
    jumps = matching(rows, [parse_filter("label=jump"), parse_filter("group = g1, g2")])
    assert [row.name for row in jumps] == ["b/1.mp4", "b/2.mp4"]
    assert [row.name for row in without(rows, jumps)] == ["a/1.mp4"]
    assert str(parse_filter("group = g1, g2")) == "group=g1,g2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("group", r"column=value\[,value\], got 'group'"),
        ("group=", r"column=value\[,value\]"),
        ("split=train", "no column 'split'; it has group, label, path"),
        ("group=g1,g9", "group is never g9; its values are g1, g2"),
    ],
)
def test_a_filter_that_cannot_be_meant_says_what_there_is(
    table: Path, text: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        matching(read_manifest(table), [parse_filter(text)])


def test_filters_that_leave_nothing_are_an_error(table: Path) -> None:
    filters = [parse_filter("label=run"), parse_filter("group=g2")]
    with pytest.raises(DatasetError, match="no video is left after group=g2"):
        matching(read_manifest(table), filters)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\na/1.mp4,run\n", "lacks the column path; it has file, label"),
        ("", "lacks the column path and label"),
        ("path,label\n", "names no video"),
        (
            "path,label\na/1.mp4,run\na/9.mp4,run\nb/9.mp4,run\n",
            r"names 2 videos of 3 that are not there: a/9\.mp4, b/9\.mp4",
        ),
        ("path,label\na/1.mp4\n", "line 2: path and label must not be empty"),
        ("path,label\na/1.mp4,run\na/1.mp4,jump\n", r"names a/1\.mp4 more than once"),
    ],
)
def test_a_broken_csv_is_an_error_that_names_the_place(
    table: Path, content: str, message: str
) -> None:
    table.write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_manifest(table)


def test_an_absent_or_empty_data_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no data set at"):
        read_manifest(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="names no video"):
        read_manifest(tmp_path)


def test_the_data_hash_knows_labels_and_sizes_but_not_the_place_or_order(
    table: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = read_manifest(table)
    first = data_hash(rows)
    assert data_hash(rows[::-1]) == first
    moved = tmp_path_factory.mktemp("elsewhere") / "set"
    table.parent.rename(moved)
    assert data_hash(read_manifest(moved)) == first
    (moved / "a" / "1.mp4").write_bytes(b"other")
    assert data_hash(read_manifest(moved)) != first
