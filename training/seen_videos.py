"""Which videos of a data set a run has seen, even where another data set names them otherwise."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from motionfit.training.manifest import Row
from motionfit.training.session import CONFIG
from motionfit.training.used_videos import read_used


def seen_by(run: Path, rows: Sequence[Row]) -> frozenset[str] | None:
    """The names of the ``rows`` that the run trained on or held out; None if it does not say.

    A video is taken for seen when it is one of the run's files, or has the file name and size of
    one. Of files that are not there any more only the names are compared: rather one too many.
    """
    used = read_used(run)
    if not used:
        return None
    files = [_root_of(run) / name for name in used]
    there = [file for file in files if file.is_file()]
    gone = {file.name for file in files} - {file.name for file in there}
    paths = {file.resolve() for file in there}
    copies = {_name_and_size(file) for file in there}
    return frozenset(
        row.name
        for row in rows
        if row.path.resolve() in paths
        or _name_and_size(row.path) in copies
        or row.path.name in gone
    )


def _root_of(run: Path) -> Path:
    """The folder that the names of the run's videos start from."""
    try:
        values = tomllib.loads((run / CONFIG).read_text(encoding="utf-8"))
        source = Path(values["data"]["labelled"])
    except (FileNotFoundError, KeyError, TypeError, tomllib.TOMLDecodeError):
        return run  # where none of the files is: their names are compared
    return source.parent if source.is_file() else source


def _name_and_size(file: Path) -> tuple[str, int]:
    return file.name, file.stat().st_size
