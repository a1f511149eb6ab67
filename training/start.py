"""Where a network's weights start: at random, or from a network that was trained before."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from motionfit.inference.bundle import MANIFEST, WEIGHTS, Bundle, embedded_path, sha256_of
from motionfit.inference.clip import KINETICS_MEAN, KINETICS_STD, ClipSpec, Triple
from motionfit.training import kinetics
from motionfit.training.checkpoint import CHECKPOINT, CheckpointError, load_student
from motionfit.training.config import EMBEDDED, KINETICS, PARTS
from motionfit.training.model import R2Plus1D

HEAD = "fc"


@dataclass(frozen=True, kw_only=True)
class Start:
    """A network at the start of a run, and where its weights are from."""

    model: R2Plus1D
    """float32, on the CPU, in train mode."""
    width: float
    """The width multiplier of ``model``."""
    origin: str
    """For the record: the name given and, of a file, the beginning of its sha256."""
    loaded: tuple[str, ...]
    """The parts whose weights were loaded."""
    new: tuple[str, ...]
    """The parts that start at random."""

    def __str__(self) -> str:
        if not self.loaded:
            return self.origin
        return f"weights from {self.origin}" + (", with a new last layer" if self.new else "")


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A trained network to start from."""

    model: R2Plus1D
    width: float
    labels: tuple[str, ...] | None
    """None: the file does not name them."""
    normalisation: tuple[Triple, Triple]
    """The mean and std of ClipSpec that it was trained with."""
    origin: str


def load_start(name: str | None, *, labels: Sequence[str], width: float, spec: ClipSpec) -> Start:
    """A network for ``labels``, its weights from ``name``; the head is kept for equal labels alone.

    ``name`` is 'embedded', 'kinetics', or the path of a run, a checkpoint, a bundle or a .pth file
    of torchvision's r2plus1d_18; the weights then decide the width. None: random weights, of
    ``width``. Random numbers are drawn from torch's default generator.
    Raises CheckpointError or BundleError when there are no such weights, or they do not fit.
    """
    if name is None:
        model = R2Plus1D(len(labels), width=width)
        return Start(model=model, width=width, origin="random weights", loaded=(), new=PARTS)
    source = _source(name)
    _check_normalisation(source, spec)
    new = () if source.labels == tuple(labels) else (HEAD,)
    if new:
        source.model.fc = R2Plus1D(len(labels), width=source.width).fc
    return Start(
        model=source.model.train(),
        width=source.width,
        origin=source.origin,
        loaded=tuple(part for part in PARTS if part not in new),
        new=new,
    )


def _source(name: str) -> _Source:
    if name == EMBEDDED:
        return _bundle(embedded_path(), name)
    if name == KINETICS:
        return _torchvision(kinetics.downloaded(), labels=kinetics.LABELS, origin=name)
    path = Path(name)
    if not path.exists():
        raise CheckpointError(
            f"there is nothing at {name} to start from: give {EMBEDDED!r}, {KINETICS!r}, or the "
            "path of a run, a checkpoint or a bundle"
        )
    if (path / MANIFEST).is_file():
        return _bundle(path, path.resolve().name)
    if path.suffix == ".pth":
        return _torchvision(kinetics.read(path), labels=None, origin=_origin(path.name, path))
    return _checkpoint(path, path.resolve().name)


def _bundle(path: Path, name: str) -> _Source:
    return _checkpoint(Bundle.open(path).file(WEIGHTS), name)


def _checkpoint(path: Path, name: str) -> _Source:
    checkpoint = load_student(path)
    return _Source(
        model=checkpoint.model,
        width=checkpoint.width,
        labels=checkpoint.labels,
        normalisation=(checkpoint.spec.mean, checkpoint.spec.std),
        origin=_origin(name, path / CHECKPOINT if path.is_dir() else path),
    )


def _torchvision(model: R2Plus1D, *, labels: tuple[str, ...] | None, origin: str) -> _Source:
    return _Source(
        model=model,
        width=kinetics.WIDTH,
        labels=labels,
        normalisation=(KINETICS_MEAN, KINETICS_STD),
        origin=origin,
    )


def _origin(name: str, file: Path) -> str:
    return f"{name} (sha256 {sha256_of(file)[:12]})"


def _check_normalisation(source: _Source, spec: ClipSpec) -> None:
    if source.normalisation != (spec.mean, spec.std):
        mean, std = source.normalisation
        raise CheckpointError(
            f"{source.origin} was trained on pixels normalised by mean {mean} and std {std}; "
            f"this run has {spec.mean} and {spec.std}"
        )
