"""motionfit-train: fit a student, evaluate one, describe one."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from motionfit.inference.console import run, stderr
from motionfit.inference.errors import require_extra
from motionfit.training.config import Config, read_config
from motionfit.training.doctor_command import doctor_command
from motionfit.training.evaluate_command import evaluate_command
from motionfit.training.options import with_config_options

NAME = "motionfit-train"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train video action recognition students.",
    epilog="--debug, anywhere on the command line, shows the traceback of a failure.",
)

Frames = Annotated[int, typer.Option(help="Frames of a clip.", min=1, max=256)]
Crop = Annotated[
    int, typer.Option(help="Side, in pixels, of the square that the model sees.", min=8)
]
Width = Annotated[
    float, typer.Option(help="Multiplies all channel counts of R(2+1)D-18.", min=0.05, max=2.0)
]


@app.command("fit")
@with_config_options
def fit_command(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Run folder to write; new or empty.")
    ],
    overrides: Mapping[str, Mapping[str, Any]],
    config: Annotated[
        Path | None,
        typer.Option(
            "-c", "--config", help="TOML file with the values below; a flag counts before it."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the stopped run in that folder, with its own values."
        ),
    ] = False,
) -> None:
    """Train a student on labelled videos; write RUN/checkpoint.safetensors when it is done.

    Ctrl-C or SIGTERM stop a run in an orderly way; a run that was stopped or killed goes on with
    --resume. Videos that cannot be read are named and left out. Without --labelled in the file it
    must be given. Start it with accelerate launch to train with several processes or GPUs.
    """
    require_extra("train", "accelerate", "safetensors", "tensorboard", "torch", "torchvision")
    from motionfit.training.fit import CONFIG, FitOptions, fit
    from motionfit.training.provenance import command_line

    resolved = _resumed(output, config, overrides) if resume else _new(output, config, overrides)
    options = FitOptions(
        config=resolved,
        output=output,
        resume=resume,
        command=command_line([NAME, *sys.argv[1:]]),
    )
    try:
        fit(options, console=stderr)
    except KeyboardInterrupt:
        if (output / CONFIG).exists():
            again = shlex.join([NAME, "fit", "--resume", "-o", str(output)])
            stderr.print(f"stopped; go on with:  {again}", markup=False)
        raise


def _new(output: Path, config: Path | None, overrides: Mapping[str, Mapping[str, Any]]) -> Config:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise typer.BadParameter(
            f"{output} exists and is not an empty folder; --resume goes on with a stopped run",
            param_hint="-o",
        )
    return read_config(config, overrides).with_absolute_paths()


def _resumed(
    output: Path, config: Path | None, overrides: Mapping[str, Mapping[str, Any]]
) -> Config:
    from motionfit.training.checkpoint import CHECKPOINT
    from motionfit.training.fit import CONFIG

    if config is not None or overrides:
        raise typer.BadParameter("a run goes on with its own values; give --resume and -o alone")
    if (output / CHECKPOINT).exists():
        raise typer.BadParameter(f"the run in {output} is finished", param_hint="-o")
    if not (output / CONFIG).exists():
        raise typer.BadParameter(f"{output} holds no run to go on with", param_hint="-o")
    return read_config(output / CONFIG, {})


app.command("evaluate")(evaluate_command)
app.command("doctor")(doctor_command)


@app.command("describe")
def describe_command(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="A checkpoint or run folder; instead of the options.")
    ] = None,
    classes: Annotated[int, typer.Option(help="Number of classes.", min=1)] = 10,
    width: Width = 0.25,
    frames: Frames = 8,
    crop: Crop = 64,
) -> None:
    """Print the parameters of a student and the floating-point operations of one clip."""
    require_extra("train", "torch", "torchvision", "safetensors")
    from motionfit.training.checkpoint import load_checkpoint
    from motionfit.training.describe import parts_of, table_of

    console = Console()
    if checkpoint is not None:
        loaded = load_checkpoint(checkpoint)
        classes, width = len(loaded.labels), loaded.width
        frames, crop = loaded.spec.num_frames, loaded.spec.crop
        console.print(f"classes: {', '.join(loaded.labels)}", markup=False, highlight=False)
    parts = parts_of(classes, width=width, num_frames=frames, crop=crop)
    console.print(
        table_of(parts, title=f"R(2+1)D-18, width {width:g}, {frames} x {crop} x {crop} pixels")
    )


def main() -> None:
    """Entry point of ``motionfit-train``."""
    run(app, name=NAME)


if __name__ == "__main__":  # accelerate launch --module motionfit.training.cli
    main()
