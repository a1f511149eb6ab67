"""What is in a labelled data set -> frozen rows, and filters on them.

A CSV has the columns ``path`` (relative to the CSV) and ``label``, and any others. A folder that
holds ``metadata.csv`` counts as that CSV; in any other folder each sub-folder is a class and each
file in it, however deep, one of its videos. Names that start with a dot are left out. With the
lists of a public data set (``official.py``) the folder only holds the videos that they name.
"""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from motionfit.inference.errors import DatasetError
from motionfit.training.locate import hidden, locate
from motionfit.training.official import read_lists

METADATA = "metadata.csv"
_NAMED_ABSENT = 5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One labelled video."""

    path: Path
    name: str
    """The path as the data set writes it, the same on every machine."""
    label: str
    columns: Mapping[str, str]
    """All columns of the row, ``label`` among them."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The videos of a data set."""

    rows: tuple[Row, ...]
    """At least one, sorted by name."""
    absent: tuple[str, ...]
    """Names of the videos that a Kinetics list names and the folder lacks, as is normal there."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Keeps the rows whose ``column`` has one of ``values``."""

    column: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.column}={','.join(self.values)}"


def parse_filter(text: str) -> Filter:
    """``column=value[,value]`` as a Filter. Raises DatasetError when it is written otherwise."""
    column, _, values = text.partition("=")
    parts = tuple(part.strip() for part in values.split(",") if part.strip())
    if not column.strip() or not parts:
        raise DatasetError(f"a filter is written column=value[,value], got {text!r}")
    return Filter(column=column.strip(), values=parts)


def read_manifest(source: Path) -> tuple[Row, ...]:
    """The videos of a data set, at least one, sorted by name. Raises DatasetError."""
    return read_dataset(source).rows


def read_dataset(source: Path, *, lists: Path | None = None) -> Dataset:
    """The videos of a folder or CSV; with ``lists``, those of a folder that they name.

    Raises DatasetError.
    """
    if not source.exists():
        raise DatasetError(f"there is no data set at {source}")
    rows, absent = _rows(source) if lists is None else _listed_rows(source, lists=lists)
    return Dataset(rows=tuple(sorted(rows, key=lambda row: row.name)), absent=absent)


def matching(rows: Sequence[Row], filters: Iterable[Filter]) -> tuple[Row, ...]:
    """The rows that pass every filter, at least one. Raises DatasetError."""
    kept = tuple(rows)
    for one in filters:
        _check_filter(one, rows)
        kept = tuple(row for row in kept if row.columns[one.column] in one.values)
        if not kept:
            raise DatasetError(f"no video is left after {one}")
    return kept


def without(rows: Sequence[Row], removed: Sequence[Row]) -> tuple[Row, ...]:
    """``rows`` less ``removed``, in order."""
    names = {row.name for row in removed}
    return tuple(row for row in rows if row.name not in names)


def labels_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """The classes of ``rows``, sorted: the order of a model's outputs."""
    return tuple(sorted({row.label for row in rows}))


def data_hash(rows: Iterable[Row]) -> str:
    """sha256 over the sorted names, labels and file sizes of ``rows``."""
    lines = sorted(f"{row.name}\t{row.label}\t{row.path.stat().st_size}\n" for row in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _rows(source: Path) -> tuple[list[Row], tuple[str, ...]]:
    table = source / METADATA if source.is_dir() else source
    rows = _rows_of_table(table) if table.is_file() else _rows_of_folders(source)
    if not rows:
        raise DatasetError(
            f"{source} names no video: give a folder with one sub-folder of videos per class, "
            "or a CSV with the columns path and label"
        )
    return rows, ()


def _listed_rows(root: Path, *, lists: Path) -> tuple[list[Row], tuple[str, ...]]:
    if not root.is_dir():
        raise DatasetError(f"with lists, the data set is the folder of its videos, got {root}")
    published = read_lists(lists)
    there, missing = locate(published.videos, root=root)
    absent = tuple(sorted(video.file for video in missing))
    if absent and (published.complete or not there):
        raise DatasetError(
            f"{root} lacks {len(absent)} of the {len(published.videos)} videos that the "
            f"{published.kind} lists name: {_first(absent)}; for a part of the data set, take the "
            "lines of all others out of a copy of the lists"
        )
    rows = [
        Row(
            path=path,
            name=path.relative_to(root).as_posix(),
            label=video.label,
            columns=video.columns,
        )
        for video, path in there
    ]
    return rows, absent


def _rows_of_table(table: Path) -> list[Row]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        found = reader.fieldnames or ()
        if missing := [name for name in ("path", "label") if name not in found]:
            raise DatasetError(
                f"{table} lacks the column {' and '.join(missing)}; it has {', '.join(found)}"
            )
        rows = [_row_of_line(line, table=table, number=reader.line_num) for line in reader]
    _check_there(rows, table=table)
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in sorted(names) if names.count(name) > 1)
        raise DatasetError(f"{table} names {twice} more than once")
    return rows


def _check_there(rows: Sequence[Row], *, table: Path) -> None:
    if missing := [row.name for row in rows if not row.path.is_file()]:
        raise DatasetError(
            f"{table} names {len(missing)} videos of {len(rows)} that are not there: "
            f"{_first(missing)}"
        )


def _row_of_line(line: Mapping[str, str | None], *, table: Path, number: int) -> Row:
    columns = {name: (value or "").strip() for name, value in line.items() if name is not None}
    if not columns["path"] or not columns["label"]:
        raise DatasetError(f"{table}, line {number}: path and label must not be empty")
    path = table.parent / columns["path"]
    return Row(path=path, name=columns["path"], label=columns["label"], columns=columns)


def _rows_of_folders(root: Path) -> list[Row]:
    classes = [folder for folder in root.iterdir() if folder.is_dir()]
    return [
        Row(
            path=path,
            name=path.relative_to(root).as_posix(),
            label=folder.name,
            columns={"label": folder.name},
        )
        for folder in classes
        for path in folder.rglob("*")
        if path.is_file() and not hidden(path.relative_to(root))
    ]


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED_ABSENT]) + (", ..." if len(names) > _NAMED_ABSENT else "")


def _check_filter(one: Filter, rows: Sequence[Row]) -> None:
    known = rows[0].columns
    if one.column not in known:
        raise DatasetError(
            f"the data set has no column {one.column!r}; it has {', '.join(sorted(known))}"
        )
    values = sorted({row.columns[one.column] for row in rows})
    if wrong := [value for value in one.values if value not in values]:
        raise DatasetError(
            f"{one.column} is never {' or '.join(wrong)}; its values are {', '.join(values)}"
        )
