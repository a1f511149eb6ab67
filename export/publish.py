"""A folder that appears whole, in the place of an older one, or not at all."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from motionfit.inference.bundle import MANIFEST
from motionfit.inference.errors import BundleError

# No space, more than one's quota, more than a file may hold here.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def replacing(output: Path, *, check: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """A new, empty folder beside ``output``, which takes its place when the block ends well.

    After an exception in the block, Ctrl-C included, the new folder is gone and what was at
    ``output`` is as it was; after SIGKILL, a hidden folder ``.NAME.*.unfinished`` stays behind.
    ``check`` raises BundleError when what is at ``output`` must not be replaced; without one, it
    may be a bundle, an empty folder, or nothing. A disk that is full is a BundleError as well.
    """
    output = output.resolve()
    (check or check_replaceable)(output)
    unfinished = output.with_name(f".{output.name}.{uuid4().hex}.unfinished")
    unfinished.mkdir()
    try:
        yield unfinished
        _swap(unfinished, output)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise BundleError(
            f"there is no room to write {output}: {error.strerror}. What was there is as it was; "
            "free some space, or name another place"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def check_replaceable(output: Path) -> None:
    """Raise BundleError when putting a bundle at ``output`` would cost anything but a bundle."""
    check_parent(output)
    if not output.exists():
        return
    if not output.is_dir():
        raise BundleError(f"{output} is a file: give a new name, or a bundle to replace")
    present = {path.name for path in output.iterdir()}
    if present and MANIFEST not in present:
        raise BundleError(f"{output} is not a bundle and not empty: give another name")
    if others := present - {MANIFEST, *_named_files(output)}:
        raise BundleError(
            f"{output} also holds {', '.join(sorted(others))}, which would be lost: "
            "move that away, or give another name"
        )


def check_parent(output: Path) -> None:
    """Raise BundleError when there is no folder that ``output`` could be made in."""
    if not output.parent.is_dir():
        raise BundleError(f"there is no folder {output.parent} to put {output.name} into")


def _named_files(bundle: Path) -> set[str]:
    manifest = bundle / MANIFEST
    if not manifest.is_file():
        return set()
    try:
        return set(json.loads(manifest.read_text(encoding="utf-8"))["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{manifest} is damaged ({error!r}): remove {bundle}, or give another name"
        ) from error


def _swap(new: Path, output: Path) -> None:
    old = output.with_name(f".{output.name}.{uuid4().hex}.old")
    try:
        if output.exists():
            output.rename(old)
        new.rename(output)
    except BaseException:
        if old.exists() and not output.exists():
            old.rename(output)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
