"""What is wrong with a data set as it is written down: classes, splits and groups."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain
from pathlib import Path

from motionfit.inference.errors import DatasetError
from motionfit.training.findings import Finding, finding
from motionfit.training.manifest import METADATA, Row, labels_of
from motionfit.training.splits import GROUP

TRAINING = "train"
_UNUSED = {"", "unused"}
_SIDES = {TRAINING, "val", "valid", "validate", "validation", "dev", "test"}


def read_classes(file: Path) -> tuple[str, ...]:
    """The classes that a file lists, one a line; numbers before all of them, as in UCF101's
    classInd.txt, are left out. Raises DatasetError.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file} cannot be read as a list of classes: {error}") from error
    classes = [line.strip() for line in lines if line.strip()]
    numbered = [line.split(maxsplit=1) for line in classes]
    if all(len(parts) == 2 and parts[0].isdecimal() for parts in numbered):
        classes = [parts[1] for parts in numbered]
    if not classes:
        raise DatasetError(f"{file} lists no class; write one a line")
    return tuple(classes)


def class_folders(source: Path) -> tuple[str, ...] | None:
    """The classes of a folder per class, the empty ones among them; None of any other data set."""
    if not source.is_dir() or (source / METADATA).exists():
        return None
    folders = (path.name for path in source.iterdir() if path.is_dir())
    return tuple(sorted(name for name in folders if name[0] != "."))


def check_classes(rows: Sequence[Row], *, classes: Sequence[str]) -> tuple[Finding, ...]:
    """Labels that ``classes`` lack, and classes without a video."""
    labels = labels_of(rows)
    return finding(
        "error",
        "label-not-listed",
        "labels that are not in the list of classes",
        advice="correct the label or the list",
        items=(_with_suggestion(label, classes) for label in labels if label not in classes),
    ) + finding(
        "warning",
        "class-without-videos",
        "classes without a video",
        advice="add videos, or take the class out: a model cannot learn it",
        items=sorted(set(classes) - set(labels)),
    )


def split_columns(rows: Sequence[Row]) -> tuple[str, ...]:
    """The columns that say in which part a video is: split..., fold..., or all train, test etc."""
    return tuple(
        name
        for name in sorted(rows[0].columns)
        if name.startswith(("split", "fold")) or _says_sides(rows, column=name)
    )


def sides(rows: Sequence[Row], *, column: str) -> Iterator[tuple[Row, str]]:
    """The videos that ``column`` puts into a part, and the part."""
    for row in rows:
        if (side := row.columns[column]) not in _UNUSED:
            yield row, side


def check_splits(rows: Sequence[Row]) -> tuple[Finding, ...]:
    """Groups on two sides of a split, and classes that a split does not train on."""
    return tuple(
        chain.from_iterable(
            _leaks(rows, column=column) + _untrained(rows, column=column)
            for column in split_columns(rows)
        )
    )


def _leaks(rows: Sequence[Row], *, column: str) -> tuple[Finding, ...]:
    """Groups count within their class, as in the rules of UCF101 and HMDB51."""
    parts: Mapping[tuple[str, str], set[str]] = defaultdict(set)
    for row, side in sides(rows, column=column):
        if group := row.columns.get(GROUP):
            parts[row.label, group].add(side)
    return finding(
        "error",
        "group-leak",
        f"groups on more than one side of {column}, so that what is measured is too good",
        advice=f"give all videos of a group one value of {column}",
        items=(
            f"{label}, group {group}: {', '.join(sorted(found))}"
            for (label, group), found in sorted(parts.items())
            if len(found) > 1
        ),
    )


def _untrained(rows: Sequence[Row], *, column: str) -> tuple[Finding, ...]:
    """Folds have no training side: each is trained on when another one is tested."""
    labels: Mapping[str, set[str]] = defaultdict(set)
    for row, side in sides(rows, column=column):
        labels[side].add(row.label)
    tested = set().union(*(found for side, found in labels.items() if side != TRAINING))
    return finding(
        "warning",
        "class-not-trained",
        f"classes with videos to test on but none to train on in {column}",
        advice="move videos of whole groups to the training side, or take the class out",
        items=sorted(tested - labels[TRAINING]) if TRAINING in labels else (),
    )


def _says_sides(rows: Sequence[Row], *, column: str) -> bool:
    values = {row.columns[column] for row in rows} - _UNUSED
    return values <= _SIDES and len(values) > 1


def _with_suggestion(label: str, listed: Sequence[str]) -> str:
    close = get_close_matches(label, listed, n=1)
    return f"{label} (like {close[0]}?)" if close else label
