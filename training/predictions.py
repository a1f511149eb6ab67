"""What a teacher says of every grid clip of every unlabelled video, as a folder of Parquet files.

    part-00000.parquet ...   a fixed number of videos each, in the order of their names
        video       string
        start_us    int64           microseconds from the first frame
        end_us      int64
        logits      list<float32>   one for each class
        embedding   list<float32>   what the last layer takes

Each part appears complete or not at all. The metadata of its schema says all that decides what is
in it, and which of its videos could not be read. Together, in any order, the parts are the whole.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from numpy.typing import NDArray

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.sampling import Times
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.pseudo_labels import METADATA_KEY, lists_of, rows_of
from motionfit.training.videos import Unreadable
from motionfit.training.whole_files import written_whole

FORMAT = "1"
_UNREADABLE_KEY = b"motionfit-unreadable"


@dataclass(frozen=True, kw_only=True)
class About:
    """All that decides predictions. Equal ones go together, others never."""

    teacher: str
    """sha256 of the checkpoint"""
    labels: tuple[str, ...]
    """(C,) the teacher's classes"""
    dimensions: int
    """D, of its embedding"""
    spec: ClipSpec
    flow: FlowSpec | None
    """None: the teacher looks at RGB"""
    grid_clips: int
    """Clips of a video"""
    videos: str
    """sha256 of the names and sizes of the videos"""
    parts: int
    """Into how many files they are divided"""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; ``from_json`` is the inverse."""
        return {
            "format": FORMAT,
            "teacher": self.teacher,
            "labels": list(self.labels),
            "dimensions": self.dimensions,
            "spec": self.spec.to_json(),
            "flow": None if self.flow is None else self.flow.to_json(),
            "grid_clips": self.grid_clips,
            "videos": self.videos,
            "parts": self.parts,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """From JSON values. Raises KeyError, TypeError or ValueError when they are others."""
        if values["format"] != FORMAT:
            raise ValueError(f"format is {values['format']!r}, expected {FORMAT!r}")
        flow = values["flow"]
        return cls(
            teacher=str(values["teacher"]),
            labels=tuple(map(str, values["labels"])),
            dimensions=int(values["dimensions"]),
            spec=ClipSpec.from_json(values["spec"]),
            flow=None if flow is None else FlowSpec.from_json(flow),
            grid_clips=int(values["grid_clips"]),
            videos=str(values["videos"]),
            parts=int(values["parts"]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Of N clips, sorted by video and start."""

    videos: tuple[str, ...]
    """(N,) names in the unlabelled data set"""
    starts_us: Times
    """(N,) int64 microseconds from the first frame"""
    ends_us: Times
    """(N,) int64"""
    logits: NDArray[np.float32]
    """(N, C) float32"""
    embeddings: NDArray[np.float32]
    """(N, D) float32"""
    unreadable: tuple[Unreadable, ...]
    """Videos that have no clips for this reason, sorted by name"""
    about: About


def part_file(folder: Path, number: int) -> Path:
    """The file of one part, counted from 0."""
    return folder / f"part-{number:05d}.parquet"


def write_part(path: Path, part: Predictions) -> None:
    """Write the predictions of some of the videos, complete or not at all."""
    columns = {
        "video": pa.array(part.videos, pa.string()),
        "start_us": pa.array(part.starts_us, pa.int64()),
        "end_us": pa.array(part.ends_us, pa.int64()),
        "logits": lists_of(part.logits),
        "embedding": lists_of(part.embeddings),
    }
    metadata = {
        METADATA_KEY: json.dumps(part.about.to_json()),
        _UNREADABLE_KEY: json.dumps([[one.name, one.reason] for one in part.unreadable]),
    }
    with written_whole(path) as unfinished:
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), unfinished)


def missing_parts(folder: Path, about: About) -> tuple[int, ...]:
    """The parts that are not in ``folder`` yet.

    Raises DatasetError when it holds a part of other predictions: of another teacher, of other
    clips or of other videos.
    """
    for file in _part_files(folder):
        if differing := _differences(_about(file), about):
            raise DatasetError(
                f"{folder} holds other predictions, which differ in {' and '.join(differing)}: "
                f"give a new folder, or remove {folder.parent}"
            )
    return tuple(n for n in range(about.parts) if not part_file(folder, n).is_file())


def read_predictions(folder: Path) -> Predictions:
    """All parts of a folder as one. Raises DatasetError unless they are complete and fit."""
    files = _part_files(folder)
    if not files:
        raise DatasetError(f"there are no predictions in {folder}")
    about = _about(files[0])
    if missing := missing_parts(folder, about):
        raise DatasetError(
            f"{folder} lacks {len(missing)} of {about.parts} parts: run the same command again"
        )
    return _joined([pq.read_table(file) for file in files], about=about)


def _joined(tables: Sequence[Any], *, about: About) -> Predictions:
    order = [("video", "ascending"), ("start_us", "ascending")]
    table = pa.concat_tables(tables).sort_by(order)
    return Predictions(
        videos=tuple(table["video"].to_pylist()),
        starts_us=table["start_us"].to_numpy(),
        ends_us=table["end_us"].to_numpy(),
        logits=rows_of(table["logits"], width=len(about.labels)),
        embeddings=rows_of(table["embedding"], width=about.dimensions),
        unreadable=tuple(
            Unreadable(name=name, reason=reason)
            for name, reason in sorted(pair for one in tables for pair in _unreadable(one))
        ),
        about=about,
    )


def _unreadable(table: Any) -> list[tuple[str, str]]:
    return [(name, reason) for name, reason in json.loads(table.schema.metadata[_UNREADABLE_KEY])]


def _part_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"))


def _about(file: Path) -> About:
    try:
        metadata = pq.read_schema(file).metadata or {}
        return About.from_json(json.loads(metadata[METADATA_KEY]))
    except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise DatasetError(
            f"{file} holds no predictions that this version of motionfit reads: {error}"
        ) from error


def _differences(one: About, other: About) -> list[str]:
    """The names of the fields that differ, as a person would say them."""
    mine, theirs = one.to_json(), other.to_json()
    return [name.replace("_", " ") for name in mine if mine[name] != theirs[name]]
