"""What a report's folder was begun with, so that no other run's parts get into it."""

import hashlib
from pathlib import Path
from typing import Self

from motionfit.benchmarks import machine
from motionfit.benchmarks.report.options import Options
from motionfit.benchmarks.report.plan import cells
from motionfit.benchmarks.result import ResultError, checked, read_json
from motionfit.inference.bundle import sha256_of
from motionfit.training.json_record import Record
from motionfit.training.provenance import git_revision
from motionfit.training.whole_files import written_whole

BEGUN = "begun.json"


class Begun(Record):
    """All that must be the same for parts to belong to one report."""

    options: Options
    plan: str
    """SHA-256 of what is measured, and how often."""
    revision: str | None
    """Of the source."""
    libraries: dict[str, str]
    hardware: str

    @classmethod
    def now(cls, options: Options) -> Self:
        """What would be begun here and now."""
        return cls(
            options=options,
            plan=hashlib.sha256(repr(cells(options)).encode()).hexdigest(),
            revision=git_revision(),
            libraries=machine.libraries(),
            hardware=repr(machine.describe().hardware),
        )


def begin(options: Options, folder: Path) -> None:
    """Write what a new folder is begun with."""
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / BEGUN) as unfinished:
        unfinished.write_text(Begun.now(options).document(), encoding="utf-8")


def read_begun(folder: Path) -> Begun | None:
    """What a folder was begun with; None for a new one. Raises ResultError."""
    path = folder / BEGUN
    return checked(read_json(path), Begun, path=path) if path.exists() else None


def refuse_other_options(begun: Begun, options: Options, *, folder: Path) -> None:
    """Raises ResultError when these are not the options that the folder was begun with."""
    _refuse(_changed(begun.options, options), folder=folder)


def refuse_other_run(begun: Begun, *, folder: Path) -> None:
    """Raises ResultError when what would be measured now is not what the folder was begun with."""
    own = begun.options
    now = Begun.now(own)
    changed = _changed(begun, now)
    for cell in own.trained_cells():
        for arm, sha256 in cell.networks.items():
            path = cell.checkpoint(arm)
            if not path.is_file() or sha256_of(path) != sha256:
                changed.append(f"the network {cell.name}/{arm}")
    _refuse(changed, folder=folder)


def _changed(before: Record, now: Record) -> list[str]:
    return [name for name in type(now).model_fields if getattr(before, name) != getattr(now, name)]


def _refuse(changed: list[str], *, folder: Path) -> None:
    if changed:
        raise ResultError(
            f"{folder} was begun with others ({', '.join(changed)}): give the same to go on, or "
            "another folder"
        )
