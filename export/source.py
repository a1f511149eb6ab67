"""What an export is made from: a checkpoint, or the weights in a bundle."""

from dataclasses import dataclass
from pathlib import Path

from motionfit.inference.bundle import MANIFEST, WEIGHTS, Bundle
from motionfit.training.checkpoint import Checkpoint, load_student


@dataclass(frozen=True, kw_only=True)
class Source:
    """A student to export."""

    path: Path
    """The run folder, checkpoint file or bundle."""
    checkpoint: Checkpoint
    name: str | None
    """The name that it has already; None for a checkpoint."""


def open_source(path: Path | None) -> Source:
    """Read a run folder, a checkpoint file or a bundle; without ``path``, the embedded student.

    Raises CheckpointError and BundleError when it is none of them, or damaged.
    """
    if path is not None and not (path / MANIFEST).is_file():
        return Source(path=path, checkpoint=load_student(path), name=None)
    bundle = Bundle.open(path)
    return Source(path=bundle.path, checkpoint=load_student(bundle.file(WEIGHTS)), name=bundle.name)
