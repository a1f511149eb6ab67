"""The lists with which public data sets are published: which videos, which class, which split.

    UCF101    trainlist01.txt             Archery/v_Archery_g08_c01.avi 3
              testlist01.txt              Archery/v_Archery_g01_c01.avi
    HMDB51    wave_test_split1.txt        A_Beautiful_Mind_wave_u_nm_np1_fr_med_3.avi 2
              (0: in neither part, 1: training, 2: test)
    Kinetics  train.csv                   label,youtube_id,time_start,time_end,split[,is_cc]

UCF101 and HMDB51 give the columns label, group, split1, split2 and split3 (train, test or unused).
Kinetics gives its own columns and group. Clips of one group were cut from one source video and lie
on one side of every split of their class:

- UCF101: ``g08`` of the file name. Groups are counted within a class.
- HMDB51: what stands before the class in the file name, which is
  ``source_class_bodypart_camera_npN_view_quality_number``. That source also occurs in other
  classes, where the official splits may put it on the other side.
- Kinetics: the YouTube identifier.

Which lists they are is seen from their first lines. The class numbers of UCF101 are not needed.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from motionfit.inference.errors import DatasetError

ALLOWED = (
    "UCF101's folder of trainlist01.txt, testlist01.txt, ...; HMDB51's folder of "
    "CLASS_test_split1.txt, ...; a Kinetics CSV with the columns label, youtube_id, time_start, "
    "time_end and split, or a folder of such"
)

_UCF101_NAME = re.compile(r"(train|test)list0*(\d+)\.txt")
_UCF101_LINE = re.compile(r"(?P<label>[^/\s]+)/(?P<stem>v_\S+_(?P<group>g\d+)_c\d+)\.\w+(\s+\d+)?")
_HMDB51_NAME = re.compile(r"(.+)_test_split(\d+)\.txt")
_HMDB51_LINE = re.compile(r"(?P<file>[^/]+\.\w+)\s+(?P<side>[012])")
_HMDB51_SIDES = {"0": "unused", "1": "train", "2": "test"}
_HMDB51_PROPERTIES = r"_[a-z]+_[a-z]+_np\d+_[a-z]+_[a-z]+_\d+"
_KINETICS_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


@dataclass(frozen=True, kw_only=True)
class ListedVideo:
    """One video that a list names."""

    file: str
    """Its path in the data set as published."""
    label: str
    columns: Mapping[str, str]
    """All that the lists say of it, ``label`` among them."""


@dataclass(frozen=True, kw_only=True)
class Lists:
    """What the lists of one data set say."""

    kind: str
    """UCF101, HMDB51 or Kinetics."""
    videos: tuple[ListedVideo, ...]
    complete: bool
    """Whether all videos can be had. Those of Kinetics go missing on YouTube."""


def read_lists(source: Path) -> Lists:
    """The lists at ``source``, a folder or a Kinetics CSV. Raises DatasetError."""
    files = _list_files(source)
    kinds = {kind: file for file in files if (kind := _kind_of(file))}
    if len(kinds) != 1:
        found = ", ".join(f"{kind} ({file.name})" for kind, file in kinds.items())
        names = ", ".join(file.name for file in files[:5])
        raise DatasetError(
            f"{source} must hold the lists of one data set; found "
            f"{found or names or 'no .txt or .csv file'}; allowed are {ALLOWED}"
        )
    kind, first = kinds.popitem()
    if source.is_file() and kind != "Kinetics":
        raise DatasetError(f"{source} is one of the lists of {kind}: give the folder of all")
    chosen = [file for file in files if _kind_of(file) == kind]
    reader = {"UCF101": _ucf101, "HMDB51": _hmdb51, "Kinetics": _kinetics}[kind]
    videos = _merged(reader(chosen), source=source)
    if not videos:
        raise DatasetError(f"the {kind} lists in {source}, such as {first.name}, name no video")
    return Lists(kind=kind, videos=videos, complete=kind != "Kinetics")


def _list_files(source: Path) -> list[Path]:
    if not source.exists():
        raise DatasetError(f"there are no lists at {source}; allowed are {ALLOWED}")
    if source.is_file():
        return [source]
    files = (path for path in source.iterdir() if path.is_file() and path.name[0] != ".")
    return sorted(path for path in files if path.suffix.lower() in {".txt", ".csv"})


def _kind_of(file: Path) -> str | None:
    _, line = next(_lines(file), (0, ""))
    if _UCF101_LINE.fullmatch(line):
        return "UCF101"
    if _HMDB51_LINE.fullmatch(line):
        return "HMDB51"
    return "Kinetics" if "youtube_id" in line else None


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not empty."""
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if text := line.strip():
                yield number, text


def _ucf101(files: Sequence[Path]) -> Iterator[ListedVideo]:
    for file, (side, split) in _named(files, _UCF101_NAME, kind="UCF101"):
        for number, line in _lines(file):
            match = _UCF101_LINE.fullmatch(line)
            if match is None:
                raise _wrong_line(file, number, line, "Class/v_Class_g01_c01.avi and a number")
            columns = {"label": match["label"], "group": match["group"], f"split{split}": side}
            yield ListedVideo(file=line.split()[0], label=match["label"], columns=columns)


def _hmdb51(files: Sequence[Path]) -> Iterator[ListedVideo]:
    for file, (label, split) in _named(files, _HMDB51_NAME, kind="HMDB51"):
        name = re.compile(rf"(?P<source>.+)_{re.escape(label)}{_HMDB51_PROPERTIES}\.\w+")
        for number, line in _lines(file):
            match = _HMDB51_LINE.fullmatch(line)
            parts = name.fullmatch(match["file"]) if match else None
            if match is None or parts is None:
                expected = f"source_{label}_u_nm_np1_fr_med_0.avi and 0, 1 or 2"
                raise _wrong_line(file, number, line, expected)
            side = _HMDB51_SIDES[match["side"]]
            columns = {"label": label, "group": parts["source"], f"split{split}": side}
            yield ListedVideo(file=f"{label}/{match['file']}", label=label, columns=columns)


def _kinetics(files: Sequence[Path]) -> Iterator[ListedVideo]:
    for file in files:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            reader = csv.DictReader(lines)
            found = reader.fieldnames or ()
            if missing := [name for name in _KINETICS_COLUMNS if name not in found]:
                raise DatasetError(
                    f"{file} lacks the column {' and '.join(missing)}; it has {', '.join(found)} "
                    "(some lists of test videos are published without labels)"
                )
            for line in reader:
                yield _kinetics_video(line, place=f"{file}, line {reader.line_num}")


def _kinetics_video(line: Mapping[str | None, str | None], *, place: str) -> ListedVideo:
    columns = {name: (value or "").strip() for name, value in line.items() if name is not None}
    try:
        start, end = (round(float(columns[name])) for name in ("time_start", "time_end"))
    except ValueError:
        raise DatasetError(f"{place}: time_start and time_end must be seconds") from None
    identifier = columns["youtube_id"]
    if not identifier or not columns["label"]:
        raise DatasetError(f"{place}: youtube_id and label must not be empty")
    return ListedVideo(
        file=f"{identifier}_{start:06d}_{end:06d}.mp4",
        label=columns["label"],
        columns={**columns, "group": identifier},
    )


def _named(
    files: Sequence[Path], pattern: re.Pattern[str], *, kind: str
) -> list[tuple[Path, tuple[str, ...]]]:
    """The files whose names say which list they are, and what the names say."""
    named = [(file, m.groups()) for file in files if (m := pattern.fullmatch(file.name))]
    if not named:
        names = ", ".join(file.name for file in files[:5])
        raise DatasetError(f"the names of {kind} lists must match {pattern.pattern}, got {names}")
    return named


def _merged(videos: Iterable[ListedVideo], *, source: Path) -> tuple[ListedVideo, ...]:
    """Each video once, with what all lists say of it. Splits that do not name it: unused."""
    merged: dict[str, dict[str, str]] = {}
    for video in videos:
        columns = merged.setdefault(video.file, {})
        for name, value in video.columns.items():
            if columns.setdefault(name, value) != value:
                raise DatasetError(
                    f"the lists in {source} say of {video.file} that its {name} is "
                    f"{columns[name]} and {value}"
                )
    names = sorted({name for columns in merged.values() for name in columns})
    return tuple(
        ListedVideo(
            file=file,
            label=columns["label"],
            columns={name: columns.get(name, _unsaid(name)) for name in names},
        )
        for file, columns in merged.items()
    )


def _unsaid(column: str) -> str:
    return "unused" if column.startswith("split") else ""


def _wrong_line(file: Path, number: int, line: str, expected: str) -> DatasetError:
    return DatasetError(f"{file}, line {number}: expected {expected}, got {line!r}")
