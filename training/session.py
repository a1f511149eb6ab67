"""What every training run does around its loop: its folder, its record, its processes.

A run folder holds

    config.toml              the resolved configuration, which --resume reads
    videos.csv               which videos are trained on and which are held out
    log.jsonl, tensorboard/  the figures of every epoch
    state.safetensors        what --resume goes on from; gone when the run is finished
    checkpoint.safetensors   the network; it appears last and complete
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from accelerate import PartialState  # type: ignore[import-untyped]
from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]
from rich.console import Console

from motionfit.training.checkpoint import CHECKPOINT, Checkpoint, save_checkpoint
from motionfit.training.config import RunConfig
from motionfit.training.dataset import Clips
from motionfit.training.manifest import Row
from motionfit.training.provenance import git_revision, versions
from motionfit.training.state import STATE
from motionfit.training.used_videos import write_used
from motionfit.training.videos import Unreadable
from motionfit.training.whole_files import written_whole

CONFIG = "config.toml"

C_co = TypeVar("C_co", bound=RunConfig, covariant=True)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RunOptions(Generic[C_co]):
    """What to train on what, and where to put it."""

    config: C_co
    output: Path
    resume: bool
    """Whether ``output`` holds a run that goes on."""
    command: str
    """The command line, for the record."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a network is trained on. Picklable."""

    clips: Clips
    rows: tuple[Row, ...]
    """The videos that can be read."""
    unreadable: tuple[Unreadable, ...]


def begin(
    options: RunOptions[RunConfig], *, training: Sequence[Row], held_out: Sequence[Row]
) -> Mapping[str, Any]:
    """Make the run folder, and return the part of the record that is known now."""
    if PartialState().is_main_process:
        options.output.mkdir(parents=True, exist_ok=True)
        with written_whole(options.output / CONFIG) as unfinished:
            unfinished.write_text(options.config.to_toml(), encoding="utf-8")
        write_used(options.output, training=training, held_out=held_out)
    return {
        "command": options.command,
        "configuration": options.config.record(),
        "git_revision": git_revision(),  # before hours in which the source may change
        "versions": versions(),
    }


@contextmanager
def shared(opened: AbstractContextManager[T]) -> Iterator[T]:
    """What the main process opens, for all processes of this machine to use."""
    process = PartialState()
    with ExitStack() as stack:
        values: list[Any] = [None]
        if process.is_main_process:
            values[0] = stack.enter_context(opened)
        yield broadcast_object_list(values)[0]
        process.wait_for_everyone()  # as long as others use it, it must stay open


def finish(
    options: RunOptions[RunConfig],
    checkpoint: Checkpoint,
    *,
    record: Mapping[str, Any],
    console: Console,
) -> None:
    """Save a trained network with its whole record."""
    whole = replace(checkpoint, training={**record, **checkpoint.training})
    save_checkpoint(options.output / CHECKPOINT, whole)
    (options.output / STATE).unlink(missing_ok=True)
    console.print(f"wrote {options.output / CHECKPOINT}", highlight=False, markup=False)
