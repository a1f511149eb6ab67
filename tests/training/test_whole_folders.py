from pathlib import Path

import pytest

from motionfit.training.whole_folders import folder_written_whole


def test_a_folder_appears_complete_also_in_place_of_an_empty_one(tmp_path: Path) -> None:
    for folder in (tmp_path / "new" / "one", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with folder_written_whole(folder) as unfinished:
            (unfinished / "a").touch()
            assert not (folder / "a").exists()
        assert [path.name for path in folder.iterdir()] == ["a"]
        assert [path.name for path in folder.parent.iterdir() if path.name[0] == "."] == []


def test_a_failure_leaves_nothing_and_a_folder_that_holds_something_is_kept(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), folder_written_whole(tmp_path / "x") as unfinished:
        unfinished.write_text("a folder is no file")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(OSError, match="not empty"), folder_written_whole(tmp_path / "mine"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "file"]
