"""Lists in the formats in which UCF101, HMDB51 and Kinetics are published."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from motionfit.inference.errors import DatasetError
from motionfit.training.manifest import Dataset, matching, parse_filter, read_dataset, read_manifest

UCF101 = {
    "classInd.txt": "1 ApplyEyeMakeup\r\n37 HandstandPushups\r\n",
    "trainlist01.txt": "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\n"
    "HandstandPushups/v_HandStandPushups_g08_c02.avi 37\r\n",
    "testlist01.txt": "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\r\n",
    "trainlist02.txt": "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi 1\r\n"
    "HandstandPushups/v_HandStandPushups_g08_c02.avi 37\r\n",
    "testlist02.txt": "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi\r\n",
}
UCF101_FILES = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi",
    "HandstandPushups/v_HandStandPushups_g08_c02.avi",
)
HMDB51 = {
    "class_list.txt": "draw_sword\nwave\n",
    "wave_test_split1.txt": "(Rad)_wave_it!_wave_u_nm_np1_fr_med_3.avi 2 \n"
    "prelinger_LetsBeGo1953_wave_u_cm_np10_ba_med_2.avi 1 \n",
    "wave_test_split2.txt": "(Rad)_wave_it!_wave_u_nm_np1_fr_med_3.avi 0 \n"
    "prelinger_LetsBeGo1953_wave_u_cm_np10_ba_med_2.avi 2 \n",
    "draw_sword_test_split1.txt": "BladeOfFury_draw_sword_f_nm_np1_fr_med_6.avi 1 \n",
    "draw_sword_test_split2.txt": "BladeOfFury_draw_sword_f_nm_np1_fr_med_6.avi 1 \n",
}
HMDB51_FILES = (
    "draw_sword/BladeOfFury_draw_sword_f_nm_np1_fr_med_6.avi",
    "wave/(Rad)_wave_it!_wave_u_nm_np1_fr_med_3.avi",
    "wave/prelinger_LetsBeGo1953_wave_u_cm_np10_ba_med_2.avi",
)
KINETICS = (
    "label,youtube_id,time_start,time_end,split,is_cc\n"
    '"air drumming",_dbcJuKJQNs,40,50,val,0\n'
    "abseiling,-3B32lodo2M,59,69,val,0\n"
    "abseiling,0wR5jVB-WPk,417,427,val,1\n"
)


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    return folder


def touch(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def columns(dataset: Dataset, *names: str) -> list[tuple[str, ...]]:
    return [(row.name, *(row.columns[name] for name in names)) for row in dataset.rows]


def test_ucf101_has_the_group_of_the_name_and_a_column_for_each_split(tmp_path: Path) -> None:
    root = touch(tmp_path / "videos", UCF101_FILES)
    read = read_dataset(root, lists=write(tmp_path / "ucfTrainTestlist", UCF101))
    assert read.absent == ()
    assert columns(read, "label", "group", "split1", "split2") == [
        (UCF101_FILES[0], "ApplyEyeMakeup", "g01", "test", "train"),
        (UCF101_FILES[1], "ApplyEyeMakeup", "g08", "train", "test"),
        (UCF101_FILES[2], "HandstandPushups", "g08", "train", "train"),
    ]


def test_hmdb51_has_the_source_of_the_name_as_group_and_unused_videos(tmp_path: Path) -> None:
    root = touch(tmp_path / "videos", HMDB51_FILES)
    read = read_dataset(root, lists=write(tmp_path / "testTrainMulti_7030_splits", HMDB51))
    assert columns(read, "label", "group", "split1", "split2") == [
        (HMDB51_FILES[0], "draw_sword", "BladeOfFury", "train", "train"),
        (HMDB51_FILES[1], "wave", "(Rad)_wave_it!", "test", "unused"),
        (HMDB51_FILES[2], "wave", "prelinger_LetsBeGo1953", "train", "test"),
    ]


@pytest.mark.parametrize("folder", ["", "val/", "air drumming/", "val/air_drumming/"])
def test_kinetics_videos_are_found_flat_by_class_and_by_split(tmp_path: Path, folder: str) -> None:
    name = f"{folder}_dbcJuKJQNs_000040_000050.mp4"
    lists = write(tmp_path / "annotations", {"val.csv": KINETICS})
    read = read_dataset(touch(tmp_path / "videos", [name]), lists=lists / "val.csv")
    assert columns(read, "label", "group", "split", "is_cc") == [
        (name, "air drumming", "_dbcJuKJQNs", "val", "0")
    ]
    assert read.absent == ("-3B32lodo2M_000059_000069.mp4", "0wR5jVB-WPk_000417_000427.mp4")
    assert read == read_dataset(tmp_path / "videos", lists=lists)


def test_a_kinetics_clip_that_is_there_twice_is_taken_from_its_split(tmp_path: Path) -> None:
    clip = "_dbcJuKJQNs_000040_000050.mp4"
    root = touch(tmp_path / "videos", [f"train/{clip}", f"val/{clip}"])
    lists = write(tmp_path, {"val.csv": KINETICS}) / "val.csv"
    assert [row.name for row in read_dataset(root, lists=lists).rows] == [f"val/{clip}"]


def test_of_kinetics_at_least_one_video_must_be_there(tmp_path: Path) -> None:
    lists = write(tmp_path, {"val.csv": KINETICS}) / "val.csv"
    with pytest.raises(DatasetError, match="lacks 3 of the 3 videos that the Kinetics lists name"):
        read_dataset(touch(tmp_path / "videos", ["abseiling/other.mp4"]), lists=lists)


def test_absent_videos_of_ucf101_are_counted_and_named(tmp_path: Path) -> None:
    root = touch(tmp_path / "videos", UCF101_FILES[:1])
    lists = write(tmp_path / "lists", UCF101)
    with pytest.raises(DatasetError, match="lacks 2 of the 3 videos that the UCF101 lists name: "):
        read_dataset(root, lists=lists)


def test_a_copy_in_another_container_is_found_and_the_listed_one_is_preferred(
    tmp_path: Path,
) -> None:
    copies = [name.replace(".avi", ".mp4") for name in UCF101_FILES]
    lists = write(tmp_path / "lists", UCF101)
    root = touch(tmp_path / "videos", [f"UCF-101/{name}" for name in copies])
    assert [row.name for row in read_dataset(root, lists=lists).rows] == sorted(
        f"UCF-101/{name}" for name in copies
    )
    touch(root, UCF101_FILES)
    assert [row.name for row in read_dataset(root, lists=lists).rows] == sorted(UCF101_FILES)


def test_two_files_that_could_be_the_same_video_are_an_error(tmp_path: Path) -> None:
    copies = [name.replace(".avi", suffix) for name in UCF101_FILES for suffix in (".mp4", ".mkv")]
    lists = write(tmp_path / "lists", UCF101)
    with pytest.raises(DatasetError, match=r"g01_c01\.mkv and .*g01_c01\.mp4"):
        read_dataset(touch(tmp_path / "videos", copies), lists=lists)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"found no \.txt or \.csv file; allowed are UCF101's folder"),
        ({"notes.txt": "hello\n"}, r"found notes\.txt; allowed are"),
        (UCF101 | HMDB51, r"one data set; found .*HMDB51 \(.*UCF101 \("),
        ({"list.txt": "A/v_A_g01_c01.avi 1\n"}, r"must match .*, got list\.txt"),
        (
            {"trainlist01.txt": "A/v_A_g01_c01.avi 1\nA/b.avi 1\n"},
            r"trainlist01\.txt, line 2: expected Class/v_Class_g01_c01\.avi",
        ),
        (
            {"wave_test_split1.txt": "a_walk_u_nm_np1_fr_med_3.avi 1\n"},
            r"line 1: expected source_wave_u_nm_np1_fr_med_0\.avi and 0, 1 or 2",
        ),
        (
            {"trainlist01.txt": "A/v_A_g01_c01.avi 1", "testlist01.txt": "A/v_A_g01_c01.avi"},
            "say of A/v_A_g01_c01.avi that its split1 is test and train",
        ),
        (
            {"test.csv": "youtube_id,time_start,time_end,split\n--65_UAU7ao,0,10,test\n"},
            r"lacks the column label; it has youtube_id, time_start, time_end, split \(some lists",
        ),
        (
            {"val.csv": "label,youtube_id,time_start,time_end,split\na,x,start,10,val\n"},
            r"val\.csv, line 2: time_start and time_end must be seconds",
        ),
        ({"val.csv": "label,youtube_id,time_start,time_end,split\n"}, "name no video"),
    ],
)
def test_lists_that_cannot_be_read_name_the_place_and_what_is_allowed(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    lists = write(tmp_path / "lists", files)
    with pytest.raises(DatasetError, match=message):
        read_dataset(touch(tmp_path / "videos", UCF101_FILES), lists=lists)


def test_lists_that_are_not_there_or_not_for_a_folder_are_errors(tmp_path: Path) -> None:
    root = touch(tmp_path / "videos", UCF101_FILES)
    lists = write(tmp_path / "lists", UCF101)
    with pytest.raises(DatasetError, match="there are no lists at .*; allowed are UCF101"):
        read_dataset(root, lists=tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="one of the lists of UCF101: give the folder"):
        read_dataset(root, lists=lists / "trainlist01.txt")
    with pytest.raises(DatasetError, match="the data set is the folder of its videos, got"):
        read_dataset(root / UCF101_FILES[0], lists=lists)


def test_ucf101_lists_of_real_videos_say_what_their_metadata_says(
    data_dir: Path, tmp_path: Path
) -> None:
    root = data_dir / "ucf101_10"
    expected = read_manifest(root)
    for split in ("2", "3"):
        for side, name in (("train", "trainlist0"), ("test", "testlist0")):
            chosen = matching(expected, [parse_filter(f"split{split}={side}")])
            lines = [row.name.replace(".mp4", ".avi") for row in chosen]
            number = " 1" if side == "train" else ""
            text = "".join(f"{line}{number}\r\n" for line in lines)
            (tmp_path / f"{name}{split}.txt").write_text(text)
    read = read_dataset(root, lists=tmp_path).rows
    names = ("label", "group", "split2", "split3")
    assert [(row.path, *(row.columns[n] for n in names)) for row in read] == [
        (row.path, *(row.columns[n] for n in names)) for row in expected
    ]
