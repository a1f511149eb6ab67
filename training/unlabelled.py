"""What is in a data set whose labels need not be known -> the same rows as of a labelled one.

Any folder of videos will do, however deep they lie; names that start with a dot are left out. A
CSV, or a folder that holds ``metadata.csv``, needs only the column ``path``. Labels that are there
(the column ``label``; else the sub-folder of the root in which a video lies) are kept for the
reports on how right pseudo-labels are. Nothing is ever trained on them.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from motionfit.inference.errors import DatasetError
from motionfit.training.locate import hidden
from motionfit.training.manifest import METADATA, Filter, Row, matching, read_dataset

UNKNOWN = ""
"""The label of a video of which none is known."""
_EVERYTHING = "the unlabelled data set"
_NAMED_ABSENT = 5


def read_unlabelled(
    source: Path, *, lists: Path | None, where: Iterable[Filter]
) -> tuple[Row, ...]:
    """The videos of a folder or CSV that pass every filter, at least one, sorted by name.

    With ``lists``, those of a folder that the lists name. ``Row.label`` is the true label, or
    UNKNOWN. Raises DatasetError.
    """
    if not source.exists():
        raise DatasetError(f"there is no data set at {source}")
    rows = _rows(source) if lists is None else read_dataset(source, lists=lists).rows
    return matching(sorted(rows, key=lambda row: row.name), where)


def of_one_class(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows for readers that refuse to lose the last video of a class: here no class matters."""
    return tuple(replace(row, label=_EVERYTHING) for row in rows)


def _rows(source: Path) -> list[Row]:
    table = source / METADATA if source.is_dir() else source
    rows = _rows_of_table(table) if table.is_file() else _rows_of_folder(source)
    if not rows:
        raise DatasetError(
            f"{source} names no video: give a folder of videos, or a CSV with the column path"
        )
    return rows


def _rows_of_folder(root: Path) -> list[Row]:
    return [
        _row(path, name=path.relative_to(root).as_posix(), columns={"label": _top(path, root=root)})
        for path in root.rglob("*")
        if path.is_file() and not hidden(path.relative_to(root))
    ]


def _top(path: Path, *, root: Path) -> str:
    """The sub-folder of ``root`` in which a file lies."""
    folders = path.relative_to(root).parts[:-1]
    return folders[0] if folders else UNKNOWN


def _rows_of_table(table: Path) -> list[Row]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        found = reader.fieldnames or ()
        if "path" not in found:
            raise DatasetError(f"{table} lacks the column path; it has {', '.join(found)}")
        rows = [_row_of_line(line, table=table, number=reader.line_num) for line in reader]
    _check(rows, table=table)
    return rows


def _row_of_line(line: Mapping[str, str | None], *, table: Path, number: int) -> Row:
    columns = {name: (value or "").strip() for name, value in line.items() if name is not None}
    if not columns["path"]:
        raise DatasetError(f"{table}, line {number}: path must not be empty")
    columns.setdefault("label", UNKNOWN)
    return _row(table.parent / columns["path"], name=columns["path"], columns=columns)


def _row(path: Path, *, name: str, columns: Mapping[str, str]) -> Row:
    return Row(path=path, name=name, label=columns["label"], columns=columns)


def _check(rows: Sequence[Row], *, table: Path) -> None:
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in sorted(names) if names.count(name) > 1)
        raise DatasetError(f"{table} names {twice} more than once")
    if missing := [row.name for row in rows if not row.path.is_file()]:
        first = ", ".join(missing[:_NAMED_ABSENT])
        more = ", ..." if len(missing) > _NAMED_ABSENT else ""
        raise DatasetError(
            f"{table} names {len(missing)} videos of {len(rows)} that are not there: {first}{more}"
        )
