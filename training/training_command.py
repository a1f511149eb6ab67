"""What the commands that train a network have in common."""

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from motionfit.inference.console import stderr
from motionfit.inference.errors import require_extra
from motionfit.training.config import RunConfig, read_config

NAME = "motionfit-train"

Output = Annotated[Path, typer.Option("-o", "--output", help="Run folder to write; new or empty.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", help="TOML file with the values below; a flag counts before it."
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with the stopped run in that folder, with its own values."
    ),
]
Overrides = Mapping[str, Mapping[str, Any]]
C = TypeVar("C", bound=RunConfig)


def require_training() -> None:
    """Raise MissingExtra unless all that training needs is installed."""
    require_extra("train", "accelerate", "safetensors", "tensorboard", "torch", "torchvision")


def run_training(
    train: Callable[..., None],
    *,
    stage: str,
    kind: type[C],
    output: Path,
    config: Path | None,
    resume: bool,
    overrides: Overrides,
) -> None:
    """Call ``train(RunOptions, console=...)`` for the command ``stage`` with these arguments.

    When it is stopped by Ctrl-C or SIGTERM, the command to go on with is shown.
    """
    from motionfit.training.provenance import command_line
    from motionfit.training.session import CONFIG, RunOptions

    resolved = (
        _resumed(output, config, overrides, kind=kind)
        if resume
        else _new(output, config, overrides, kind=kind)
    )
    options = RunOptions(
        config=resolved,
        output=output,
        resume=resume,
        command=command_line([NAME, *sys.argv[1:]]),
    )
    try:
        train(options, console=stderr)
    except KeyboardInterrupt:
        if (output / CONFIG).exists():
            again = shlex.join([NAME, stage, "--resume", "-o", str(output)])
            stderr.print(f"stopped; go on with:  {again}", markup=False)
        raise


def _new(output: Path, config: Path | None, overrides: Overrides, *, kind: type[C]) -> C:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise typer.BadParameter(
            f"{output} exists and is not an empty folder; --resume goes on with a stopped run",
            param_hint="-o",
        )
    return read_config(config, overrides, kind=kind).with_absolute_paths()


def _resumed(output: Path, config: Path | None, overrides: Overrides, *, kind: type[C]) -> C:
    from motionfit.training.checkpoint import CHECKPOINT
    from motionfit.training.session import CONFIG

    if config is not None or overrides:
        raise typer.BadParameter("a run goes on with its own values; give --resume and -o alone")
    if (output / CHECKPOINT).exists():
        raise typer.BadParameter(f"the run in {output} is finished", param_hint="-o")
    if not (output / CONFIG).exists():
        raise typer.BadParameter(f"{output} holds no run to go on with", param_hint="-o")
    return read_config(output / CONFIG, {}, kind=kind)
