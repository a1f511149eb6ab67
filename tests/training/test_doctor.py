"""The doctor on made data sets, each with something planted, and as a process."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from motionfit.training.doctor import diagnose, print_report
from motionfit.training.manifest import Row, read_dataset
from motionfit.training.row_checks import check_classes, check_splits, read_classes, split_columns
from tests.training.conftest import COLOURS, WriteVideo

COMMAND = Path(sys.executable).parent / "motionfit-train"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """A folder per class with three different videos of a second in each."""
    root = tmp_path_factory.mktemp("clean")
    for place, (label, colour) in enumerate(COLOURS.items()):
        for number in range(3):
            path = root / label / f"{number}.mp4"
            write_video(path, colour=colour, seed=10 * place + number)
    return root


@pytest.fixture
def videos(clean: Path, tmp_path: Path) -> Path:
    """A copy of the clean data set, to plant something in."""
    return Path(shutil.copytree(clean, tmp_path / "videos"))


def doctor(source: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "doctor", source, *arguments], capture_output=True, text=True, timeout=120
    )


def findings(done: subprocess.CompletedProcess[str], report: Path) -> dict[str, list[str]]:
    """The items of each error and warning of a report, and the exit code that they must give."""
    found: list[Mapping[str, Any]] = json.loads(report.read_text())["findings"]
    assert done.returncode == int(any(one["severity"] == "error" for one in found)), done.stderr
    for one in found:
        assert f"{one['severity']}: {one['summary']}" in done.stdout
        assert f"what to do: {one['advice']}" in done.stdout
    return {f"{one['severity']} {one['code']}": one["items"] for one in found}


def write_table(root: Path, *, column: str, values: Mapping[str, str]) -> None:
    lines = [f"path,label,group,{column}"]
    for name, value in values.items():
        lines.append(f"{name},{name.split('/')[0]},{value}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")


def rows(*lines: str, columns: str) -> list[Row]:
    names = columns.split()
    result = []
    for number, line in enumerate(lines):
        values = dict(zip(names, line.split(), strict=True))
        name = f"{number}.mp4"
        result.append(Row(path=Path(name), name=name, label=values["label"], columns=values))
    return result


def test_nothing_is_wrong_with_a_clean_data_set(clean: Path) -> None:
    done = doctor(clean)
    assert done.returncode == 0
    assert "videos: 6, in classes: 2" in done.stdout
    assert "errors: 0, warnings: 0, notes: 0" in done.stdout


def test_what_is_planted_in_a_folder_is_found(videos: Path, tmp_path: Path) -> None:
    (videos / "red" / "broken.mp4").write_bytes(b"not a video at all")
    (videos / "red" / "void.mp4").touch()
    shutil.copy(videos / "blue" / "1.mp4", videos / "blue" / "again.mp4")
    shutil.copy(videos / "blue" / "2.mp4", videos / "red" / "mistaken.mp4")
    (videos / "green").mkdir()
    report = tmp_path / "report.json"
    found = findings(doctor(videos, "--frames", "16", "--json", report), report)
    assert found.pop("warning too-short") == [
        f"{name}.mp4: 1.00 s"
        for name in ("blue/0", "blue/1", "blue/2", "blue/again", "red/0", "red/1", "red/2")
    ] + ["red/mistaken.mp4: 1.00 s"]
    (unreadable,) = found.pop("error unreadable")
    assert unreadable.startswith("red/broken.mp4: got a file that starts with b'not a vi'")
    assert found == {
        "error empty": ["red/void.mp4: the file has no content"],
        "warning class-without-videos": ["green"],
        "warning duplicates": ["blue/1.mp4, blue/again.mp4: the same bytes"],
        "warning duplicates-under-two-labels": ["blue/2.mp4, red/mistaken.mp4: the same bytes"],
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "videos"]


def test_leaks_between_training_and_test_are_errors(videos: Path, tmp_path: Path) -> None:
    shutil.copy(videos / "blue" / "1.mp4", videos / "blue" / "copy.mp4")
    values = {
        "blue/0.mp4": "g1,train",
        "blue/1.mp4": "g2,train",
        "blue/2.mp4": "g3,test",
        "blue/copy.mp4": "g4,test",
        "red/0.mp4": "g1,test",
        "red/1.mp4": "g2,test",
        "red/2.mp4": "g2,train",
    }
    write_table(videos, column="split1", values=values)
    report = tmp_path / "report.json"
    assert findings(doctor(videos, "--json", report), report) == {
        "error group-leak": ["red, group g2: test, train"],
        "error duplicates-across-split": ["blue/1.mp4, blue/copy.mp4: the same bytes (split1)"],
    }


def test_classes_are_held_against_a_list(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "classInd.txt").write_bytes(b"1 blue\r\n2 redd\r\n")
    report = tmp_path / "report.json"
    done = doctor(videos, "--classes", tmp_path / "classInd.txt", "--json", report)
    assert findings(done, report) == {
        "error label-not-listed": ["red (like redd?)"],
        "warning class-without-videos": ["redd"],
    }


def test_published_lists_are_read_and_videos_missing_on_youtube_are_a_note(
    videos: Path, tmp_path: Path
) -> None:
    (videos / "red" / "0.mp4").rename(videos / "abcdefghijk_000001_000011.mp4")
    lists = tmp_path / "train.csv"
    lists.write_text(
        "label,youtube_id,time_start,time_end,split\n"
        "red,abcdefghijk,1,11,train\nblue,ABCDEFGHIJK,1,11,train\n"
    )
    report = tmp_path / "report.json"
    done = doctor(videos, "--lists", lists, "--json", report)
    assert findings(done, report) == {"note absent": ["ABCDEFGHIJK_000001_000011.mp4"]}


def test_a_data_set_of_nothing_but_faults_is_reported_too(tmp_path: Path) -> None:
    (tmp_path / "videos" / "a").mkdir(parents=True)
    for number in range(12):
        (tmp_path / "videos" / "a" / f"{number}.mp4").touch()
    done = doctor(tmp_path / "videos")
    assert done.returncode == 1
    assert "error: videos that hold no picture: 12" in done.stdout
    assert "and 2 more, which --json lists" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["nowhere"], "there is no data set at nowhere", 1),
        (["videos", "--classes", "nowhere.txt"], "cannot be read as a list of classes", 1),
        (["videos", "--lists", "nowhere"], "there are no lists at nowhere", 1),
        (["videos", "--json", "nowhere/report.json"], "there is no folder nowhere", 2),
    ],
)
def test_wrong_use_says_so_before_anything_is_read(
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
    code: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = doctor(Path(arguments[0]), *arguments[1:])
    assert done.returncode == code
    assert message in done.stderr
    assert "looking" not in done.stderr


def test_the_help_says_what_the_exit_code_means() -> None:
    done = doctor(Path("--help"))
    assert "The exit code is 1 when there are errors. Warnings leave it at 0." in done.stdout


def test_a_report_says_how_fast_it_was(clean: Path) -> None:
    report = diagnose(
        read_dataset(clean),
        name="clean",
        classes=None,
        clip_seconds=0.8,
        console=Console(quiet=True),
    )
    printed = StringIO()
    print_report(report, console=Console(file=printed, width=200))
    # To one digit after the point.
    assert report.videos_per_second == pytest.approx(6 / report.reading_seconds, rel=0.01, abs=0.06)
    assert report.give_aways is None
    assert "too few videos, groups or classes to tell what the files" in printed.getvalue()
    assert f"read in a second: {report.videos_per_second:.0f}" in printed.getvalue()


def test_groups_count_within_their_class_in_every_split_and_fold() -> None:
    table = rows(
        "a g1 train train 0",
        "a g1 test train 1",
        "a g2 unused test 1",
        "b g1 test test 0",
        "b g3 train train 1",
        columns="label group split1 split2 fold",
    )
    found = {one.summary: one.items for one in check_splits(table)}
    assert found == {
        "groups on more than one side of fold, so that what is measured is too good: 1": (
            "a, group g1: 0, 1",
        ),
        "groups on more than one side of split1, so that what is measured is too good: 1": (
            "a, group g1: test, train",
        ),
    }


def test_a_class_that_a_split_never_trains_on_is_named() -> None:
    table = rows("a train", "a test", "b test", columns="label part")
    assert split_columns(table) == ("part",)
    (found,) = check_splits(table)
    assert (found.code, found.items) == ("class-not-trained", ("b",))


def test_columns_that_say_something_else_are_no_splits() -> None:
    table = rows("a train x", "b train y", columns="label part camera")
    assert split_columns(table) == ()
    assert check_splits(table) == ()


def test_a_list_of_classes_keeps_names_of_several_words(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("air drumming\n\n3 point shot\n")
    assert read_classes(file) == ("air drumming", "3 point shot")
    table = rows("air", columns="label")
    codes = [one.code for one in check_classes(table, classes=read_classes(file))]
    assert codes == ["label-not-listed", "class-without-videos"]
