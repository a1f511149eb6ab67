"""Which videos are look-alikes: what an interval must draw together, and a split keep together."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionfit.training.manifest import Row

ClusteredBy = Literal["group and label", "video"]


def group_of(row: Row) -> str | None:
    """The group of a video, None when the data set does not say."""
    return row.columns.get("group") or None


def clusters_of(rows: Sequence[Row]) -> NDArray[np.int64]:
    """Which cluster, (V,) from 0, each video belongs to: its group and label, or itself."""
    keys = [
        (row.label, group) if (group := group_of(row)) is not None else (row.name, None)
        for row in rows
    ]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.int64)


def clustered_by(rows: Sequence[Row]) -> ClusteredBy:
    """What the clusters are; one video without a group is enough to say "video"."""
    grouped = all(group_of(row) is not None for row in rows)
    return "group and label" if grouped else "video"
