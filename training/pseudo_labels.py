"""Pseudo-labels on disk: one Parquet file, a line for each piece of video that was labelled.

    video          string         the name in the unlabelled data set
    start_us       int64          microseconds of video time from the first frame
    end_us         int64
    label          string         the most probable class, or the cluster
    confidence     float32
    entropy        float32        nats
    distribution   list<float32>  of soft labels only: class probabilities in the order of labels

The schema's metadata has, under ``motionfit``, a JSON text: format, labels, spec and record.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from numpy.typing import NDArray

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.sampling import Times
from motionfit.training.whole_files import written_whole

FORMAT = "1"
METADATA_KEY = b"motionfit"


@dataclass(frozen=True, kw_only=True, eq=False)
class PseudoLabels:
    """What a teacher says of N pieces of video, sorted by video and start."""

    videos: tuple[str, ...]
    """(N,) names in the unlabelled data set; a video may have several pieces, or none"""
    starts_us: Times
    """(N,) int64, where each piece begins, microseconds from the first frame"""
    ends_us: Times
    """(N,) int64, where it ends, later than its start"""
    targets: NDArray[np.float32]
    """(N, C) float32, rows sum to 1; one-hot for hard classes and clusters"""
    confidence: NDArray[np.float32]
    """(N,) float32, probability of the best class; of clusters, cosine with the centroid"""
    entropy: NDArray[np.float32]
    """(N,) float32 nats, of the class probabilities (of hard labels too); 0 for clusters"""
    labels: tuple[str, ...]
    """(C,) class names, or "cluster-000" and so on"""
    spec: ClipSpec
    """Of the clips that were labelled"""
    record: dict[str, Any]
    """JSON values: teacher, kind, temperature, granularity and all else that decided the labels"""

    def __post_init__(self) -> None:
        count = len(self.videos)
        lengths = {
            "starts_us": len(self.starts_us),
            "ends_us": len(self.ends_us),
            "targets": len(self.targets),
            "confidence": len(self.confidence),
            "entropy": len(self.entropy),
        }
        if wrong := [f"{name} {n}" for name, n in lengths.items() if n != count]:
            raise DatasetError(f"{count} pieces of video, but {', '.join(wrong)}")
        if self.targets.shape[1:] != (len(self.labels),):
            raise DatasetError(f"targets must be (N, {len(self.labels)}), got {self.targets.shape}")
        if not (self.starts_us < self.ends_us).all():
            raise DatasetError("a piece of video must end after its start")

    @property
    def best(self) -> NDArray[np.int64]:
        """(N,) int64, the most probable class of each piece."""
        return np.asarray(self.targets.argmax(axis=1), np.int64)


def write_labels(path: Path, labels: PseudoLabels) -> None:
    """Write ``labels`` to the file ``path``, which appears only when it is complete."""
    columns = {
        "video": pa.array(labels.videos, pa.string()),
        "start_us": pa.array(labels.starts_us, pa.int64()),
        "end_us": pa.array(labels.ends_us, pa.int64()),
        "label": pa.array([labels.labels[best] for best in labels.best], pa.string()),
        "confidence": pa.array(labels.confidence, pa.float32()),
        "entropy": pa.array(labels.entropy, pa.float32()),
    }
    if not _one_hot(labels.targets):
        columns["distribution"] = lists_of(labels.targets)
    about = {
        "format": FORMAT,
        "labels": labels.labels,
        "spec": labels.spec.to_json(),
        "record": labels.record,
    }
    table = pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(about)})
    with written_whole(path) as unfinished:
        pq.write_table(table, unfinished)


def read_labels(path: Path) -> PseudoLabels:
    """Read what ``write_labels`` wrote. Raises DatasetError when it is not there, or not that."""
    if not path.is_file():
        raise DatasetError(
            f"there are no pseudo-labels at {path}: give the labels.parquet that pseudo-label wrote"
        )
    try:
        return _read(path)
    except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise DatasetError(
            f"{path} holds no pseudo-labels that this version of motionfit reads: {error}"
        ) from error


def lists_of(values: NDArray[np.float32]) -> Any:
    """(N, C) float32 as an Arrow array of N lists."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel(), pa.float32()))


def rows_of(column: Any, *, width: int) -> NDArray[np.float32]:
    """The inverse of ``lists_of``: (N, width) float32. Raises ValueError for other lengths."""
    flat = np.asarray(column.combine_chunks().flatten().to_numpy(), np.float32)
    return flat.reshape(len(column), width)


def _read(path: Path) -> PseudoLabels:
    table = pq.read_table(path)
    about = json.loads((table.schema.metadata or {})[METADATA_KEY])
    if about.get("format") != FORMAT:
        raise ValueError(f"format is {about.get('format')!r}, expected {FORMAT!r}")
    labels = tuple(map(str, about["labels"]))
    if "distribution" in table.column_names:
        targets = rows_of(table["distribution"], width=len(labels))
    else:
        places = {label: place for place, label in enumerate(labels)}
        best = [places[label] for label in table["label"].to_pylist()]
        targets = np.eye(len(labels), dtype=np.float32)[best]
    return PseudoLabels(
        videos=tuple(table["video"].to_pylist()),
        starts_us=table["start_us"].to_numpy(),
        ends_us=table["end_us"].to_numpy(),
        targets=targets,
        confidence=table["confidence"].to_numpy(),
        entropy=table["entropy"].to_numpy(),
        labels=labels,
        spec=ClipSpec.from_json(about["spec"]),
        record=about["record"],
    )


def _one_hot(targets: NDArray[np.float32]) -> bool:
    return bool(((targets == 0) | (targets == 1)).all())
