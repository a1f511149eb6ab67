"""What every result file says besides its figures: which network, made by which command."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import AwareDatetime, Field

from motionfit.inference.bundle import sha256_of
from motionfit.training.checkpoint import CHECKPOINT, Checkpoint
from motionfit.training.json_record import Record
from motionfit.training.provenance import git_revision, versions
from motionfit.training.recipe import recipe_of
from motionfit.training.report import SHA256


class Origin(Record):
    """When, how and by what a file of results was made."""

    command: str
    """Without the folders of the machine."""
    created_utc: AwareDatetime
    git_revision: str | None
    libraries: dict[str, str]
    device: str
    """What the network ran on."""

    @classmethod
    def now(cls, command: str) -> Self:
        """Made at this moment, by the source as it is at this moment."""
        return cls(
            command=command,
            created_utc=datetime.now(UTC),
            git_revision=git_revision(),
            libraries=versions(),
            device=device_name(available_device()),
        )


class Network(Record):
    """A checkpoint."""

    name: str
    """Of its run folder."""
    sha256: str = Field(pattern=SHA256)
    """Of the checkpoint file."""
    recipe: dict[str, Any] | None
    """How it was trained, whatever the videos; null when the checkpoint does not say."""
    clip: dict[str, Any]
    """Its ClipSpec."""

    @classmethod
    def of(cls, run: Path, checkpoint: Checkpoint) -> Self:
        """``checkpoint`` as it was loaded from the run folder or file ``run``."""
        file = run / CHECKPOINT if run.is_dir() else run
        return cls(
            name=file.resolve().parent.name if file.name == CHECKPOINT else file.stem,
            sha256=sha256_of(file),
            recipe=recipe_of(checkpoint.training),
            clip=checkpoint.spec.to_json(),
        )


def available_device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def device_name(device: torch.device) -> str:
    """The name of a GPU, else the kind of the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
