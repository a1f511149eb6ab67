"""What is wrong with the videos of a data set, once they have been looked at."""

from collections.abc import Sequence

from motionfit.training.duplicates import Duplicates, is_even
from motionfit.training.examine import Examined
from motionfit.training.findings import Finding, finding
from motionfit.training.row_checks import sides, split_columns


def check_reading(examined: Examined, *, clip_seconds: float) -> tuple[Finding, ...]:
    """Videos that cannot be read, are empty, or are shorter than one clip; what else was seen."""
    faulty = [(f"{row.name}: {fault.reason}", fault.empty) for row, fault in examined.faulty]
    short = [
        (one.row.name, one.info.duration_seconds)
        for one in examined.readable
        if one.info.duration_seconds < clip_seconds
    ]
    return (
        finding(
            "error",
            "unreadable",
            "videos that cannot be read",
            advice="get them again, or re-encode them from the original; remove what is no video",
            items=(item for item, empty in faulty if not empty),
        )
        + finding(
            "error",
            "empty",
            "videos that hold no picture",
            advice="get them again, or remove them",
            items=(item for item, empty in faulty if empty),
        )
        + finding(
            "warning",
            "too-short",
            f"videos shorter than a clip of {clip_seconds:g} s, whose end is the last frame held",
            advice="use fewer --frames or a higher --frame-rate, or remove them",
            items=(f"{name}: {seconds:.2f} s" for name, seconds in short),
        )
        + finding(
            "warning",
            "one-colour",
            "videos of one even colour throughout",
            advice="look at them, and remove what shows nothing",
            items=(one.row.name for one in examined.readable if is_even(one.pictures[None])[0]),
        )
        + finding(
            "note",
            "reading",
            "videos that were read with a remark",
            advice="nothing, unless one class has most of them",
            items=(
                f"{one.row.name}: {' '.join(one.info.notes)}"
                for one in examined.readable
                if one.info.notes
            ),
        )
    )


def check_duplicates(found: Sequence[Duplicates]) -> tuple[Finding, ...]:
    """Videos that are there more than once; those on two sides of a split are errors."""
    leaking = [(one, columns) for one in found if (columns := _crossed(one))]
    inside = [one for one in found if not _crossed(one)]
    twofold = [one for one in inside if len({row.label for row in one.rows}) > 1]
    return (
        finding(
            "error",
            "duplicates-across-split",
            "videos on both sides of a split, so that what is measured there is too good",
            advice="look at them; keep one, or put all on one side",
            items=(f"{_described(one)} ({', '.join(columns)})" for one, columns in leaking),
        )
        + finding(
            "warning",
            "duplicates-under-two-labels",
            "videos with more than one label",
            advice="look at them and keep the right one",
            items=map(_described, twofold),
        )
        + finding(
            "warning",
            "duplicates",
            "videos that are there more than once",
            advice="keep one, or give all one group, so that they stay on one side of any split",
            items=(_described(one) for one in inside if one not in twofold),
        )
    )


def _described(one: Duplicates) -> str:
    how = "the same bytes" if one.identical else "look the same"
    return f"{', '.join(row.name for row in one.rows)}: {how}"


def _crossed(one: Duplicates) -> list[str]:
    """The split columns on two sides of which the duplicates are."""
    return [
        column
        for column in split_columns(one.rows)
        if len({side for _, side in sides(one.rows, column=column)}) > 1
    ]
