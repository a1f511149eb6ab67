"""The frame rates that files state, from their headers alone."""

from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

from rich.console import Console
from rich.progress import track

from motionfit.inference.container import open_container
from motionfit.inference.errors import VideoError
from motionfit.training.manifest import Row
from motionfit.training.read_ahead import read_ahead


def stored_rates(rows: Sequence[Row], *, console: Console) -> tuple[Fraction | None, ...]:
    """The stored rate of each row's file; None also for one that cannot be read."""
    with closing(read_ahead([(row, None) for row in rows], stored_rate)) as read:
        found = track(read, description="looking at frame rates", total=len(rows), console=console)
        return tuple(None if isinstance(own, VideoError) else own for _, own in found)


def stored_rate(path: Path, _: None = None) -> Fraction | None:
    """The average frame rate that a file states, None when it does not. Raises a VideoError."""
    with path.open("rb") as file:
        container, stream = open_container(file)
        with container:
            rate = stream.average_rate
    return rate.limit_denominator(1_001) if rate else None
