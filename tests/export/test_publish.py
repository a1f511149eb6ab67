import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from motionfit.export.publish import replacing
from motionfit.inference.bundle import MANIFEST, MODEL
from motionfit.inference.errors import BundleError

Contents = Callable[[Path], dict[str, bytes]]


def test_a_new_folder_appears_at_the_end_and_not_before(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    with replacing(output) as folder:
        (folder / "file").write_text("new")
        assert not output.exists()
    assert (output / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_old_bundle_is_replaced_whole(bundle_copy: Path) -> None:
    with replacing(bundle_copy) as folder:
        (folder / MANIFEST).write_text("{}")
    assert [path.name for path in bundle_copy.iterdir()] == [MANIFEST]
    assert [path.name for path in bundle_copy.parent.iterdir()] == ["bundle"]


def test_what_a_killed_process_of_the_same_number_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f".bundle.{os.getpid()}.unfinished").mkdir()  # in containers all have one number
    with replacing(tmp_path / "bundle") as folder:
        (folder / "file").write_text("new")
    assert (tmp_path / "bundle" / "file").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_after_an_error_everything_is_as_it_was(
    bundle_copy: Path, contents: Contents, error: type[BaseException]
) -> None:
    before = contents(bundle_copy.parent)
    with pytest.raises(error):
        _fail(bundle_copy, error)
    assert contents(bundle_copy.parent) == before


def test_a_full_disk_is_one_clear_error_and_everything_is_as_it_was(
    bundle_copy: Path, contents: Contents
) -> None:
    before = contents(bundle_copy.parent)
    with pytest.raises(BundleError, match="no room to write .*bundle: No space left"):
        _fail(bundle_copy, OSError(errno.ENOSPC, "No space left on device"))
    assert contents(bundle_copy.parent) == before


def test_what_may_be_replaced_can_be_said(tmp_path: Path) -> None:
    def refuse(output: Path) -> None:
        raise BundleError(f"not {output.name}")

    with pytest.raises(BundleError, match="not this"), replacing(tmp_path / "this", check=refuse):
        pass
    assert list(tmp_path.iterdir()) == []


def test_when_the_last_rename_fails_the_old_bundle_is_put_back(
    bundle_copy: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(bundle_copy.parent)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".unfinished"):
            raise OSError("no space left")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no space left"), replacing(bundle_copy):
        pass
    assert contents(bundle_copy.parent) == before


def test_a_folder_that_is_no_bundle_is_not_touched(tmp_path: Path) -> None:
    output = tmp_path / "photos"
    output.mkdir()
    (output / "family.jpg").write_bytes(b"irreplaceable")
    with pytest.raises(BundleError, match="not a bundle and not empty"), replacing(output):
        pass
    assert (output / "family.jpg").read_bytes() == b"irreplaceable"


def test_a_bundle_with_files_of_somebody_else_is_not_touched(bundle_copy: Path) -> None:
    (bundle_copy / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match=r"notes\.txt"), replacing(bundle_copy):
        pass
    assert (bundle_copy / MODEL).is_file()


@pytest.mark.parametrize("manifest", ["{", '{"format": 1}', "[]"])
def test_a_bundle_with_a_damaged_manifest_is_not_touched(bundle_copy: Path, manifest: str) -> None:
    (bundle_copy / MANIFEST).write_text(manifest)
    with pytest.raises(BundleError, match="damaged"), replacing(bundle_copy):
        pass
    assert (bundle_copy / MODEL).is_file()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    output = tmp_path / "empty"
    output.mkdir()
    with replacing(output) as folder:
        (folder / "file").touch()
    assert (output / "file").exists()


def test_a_file_and_a_missing_parent_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="is a file"), replacing(tmp_path / "file"):
        pass
    with pytest.raises(BundleError, match="there is no folder"), replacing(tmp_path / "a" / "b"):
        pass


def _fail(output: Path, error: BaseException | type[BaseException]) -> None:
    with replacing(output) as folder:
        (folder / "half").write_text("written")
        raise error
