"""What a trained network makes of whole videos: one embedding each."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from motionfit.inference.errors import DatasetError, VideoError
from motionfit.training.checkpoint import Checkpoint, CheckpointError
from motionfit.training.evaluation import answers
from motionfit.training.manifest import Row
from motionfit.training.read_ahead import read_ahead
from motionfit.training.scores import Unreadable
from motionfit.training.spread_clips import spread_clips

Embeddings = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """The videos of a data set as points. V videos could be read."""

    rows: tuple[Row, ...]
    """The V videos, in the order asked for."""
    frame_rates: tuple[float | None, ...]
    """Frames per second that each of the V files states."""
    embeddings: Embeddings
    """(V, D) float32: the mean over a video's clips of the network's embedding."""
    unreadable: tuple[Unreadable, ...]
    """The others."""

    def chosen(self, which: NDArray[np.bool_]) -> Self:
        """Those of the V videos for which ``which`` (V,) is true."""
        places = np.flatnonzero(which)
        return replace(
            self,
            rows=tuple(self.rows[i] for i in places),
            frame_rates=tuple(self.frame_rates[i] for i in places),
            embeddings=self.embeddings[places],
        )


def embed(
    checkpoint: Checkpoint, rows: Sequence[Row], *, clips: int | None, console: Console
) -> Embedded:
    """The embedding of each video, from ``clips`` clips (None: the checkpoint's own number).

    The frames are those that serving would take. The model computes where it is. Raises
    DatasetError when no video can be read, CheckpointError when the network answers with no finite
    numbers.
    """
    count = clips or checkpoint.spec.num_clips
    requests = [(row, count) for row in rows]
    kept: list[tuple[Row, float | None, Embeddings]] = []
    unreadable: list[Unreadable] = []
    read = read_ahead(requests, partial(spread_clips, spec=checkpoint.spec))
    with closing(read):
        for row, found in track(read, description="embedding", total=len(rows), console=console):
            if isinstance(found, VideoError):
                unreadable.append(Unreadable(video=row.name, code=found.code, reason=str(found)))
                continue
            _, points = answers(checkpoint.model, found.frames, spec=checkpoint.spec)
            kept.append((row, found.info.frame_rate, points.mean(axis=0)))
    if not kept:
        first = unreadable[0]
        raise DatasetError(f"none of {len(rows)} videos could be read; {first.reason}")
    embeddings = np.stack([embedding for _, _, embedding in kept])
    if not np.isfinite(embeddings).all():
        raise CheckpointError("the network answers with no finite numbers: its training failed")
    return Embedded(
        rows=tuple(row for row, _, _ in kept),
        frame_rates=tuple(rate for _, rate, _ in kept),
        embeddings=embeddings,
        unreadable=tuple(unreadable),
    )
