"""motionfit-train: the stages of MotionFit, supervised training, evaluation."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from motionfit.inference.console import run
from motionfit.inference.errors import require_extra
from motionfit.training.config import Config
from motionfit.training.doctor_command import doctor_command
from motionfit.training.evaluate_command import evaluate_command
from motionfit.training.flow_command import flow_command
from motionfit.training.options import with_config_options
from motionfit.training.probe_command import probe_command
from motionfit.training.pseudo_label_command import pseudo_label_command
from motionfit.training.retrieve_command import retrieve_command
from motionfit.training.run_command import run_command
from motionfit.training.student_command import student_command
from motionfit.training.teacher_command import teacher_command
from motionfit.training.training_command import (
    NAME,
    ConfigFile,
    Output,
    Overrides,
    Resume,
    require_training,
    run_training,
)
from motionfit.training.two_stream_command import two_stream_command

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
@with_config_options(Config)
def fit_command(
    output: Output,
    overrides: Overrides,
    config: ConfigFile = None,
    resume: Resume = False,
) -> None:
    """Train a student on labelled videos; write RUN/checkpoint.safetensors when it is done.

    Ctrl-C or SIGTERM stop a run in an orderly way; a run that was stopped or killed goes on with
    --resume. Videos that cannot be read are named and left out. Without --labelled in the file it
    must be given. Start it with accelerate launch to train with several processes or GPUs.
    """
    require_training()
    from motionfit.training.fit import fit

    run_training(
        fit,
        stage="fit",
        kind=Config,
        output=output,
        config=config,
        resume=resume,
        overrides=overrides,
    )


app.command("run")(run_command)
app.command("flow")(flow_command)
app.command("teacher")(teacher_command)
app.command("pseudo-label")(pseudo_label_command)
app.command("student")(student_command)
app.command("evaluate")(evaluate_command)
app.command("retrieve")(retrieve_command)
app.command("probe")(probe_command)
app.command("two-stream")(two_stream_command)
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
    """Print the parameters of a network and the floating-point operations of one clip."""
    require_extra("train", "torch", "torchvision", "safetensors")
    from motionfit.training.checkpoint import load_checkpoint
    from motionfit.training.describe import parts_of, table_of
    from motionfit.training.model import FLOW, RGB

    console = Console()
    channels = RGB
    if checkpoint is not None:
        loaded = load_checkpoint(checkpoint)
        classes, width = len(loaded.labels), loaded.width
        frames, crop = loaded.spec.num_frames, loaded.spec.crop
        channels = RGB if loaded.flow is None else FLOW
        console.print(f"classes: {', '.join(loaded.labels)}", markup=False, highlight=False)
    parts = parts_of(classes, width=width, num_frames=frames, crop=crop, channels=channels)
    seen = "pixels" if channels == RGB else "vectors of flow"
    console.print(
        table_of(parts, title=f"R(2+1)D-18, width {width:g}, {frames} x {crop} x {crop} {seen}")
    )


def main() -> None:
    """Entry point of ``motionfit-train``."""
    run(app, name=NAME)


if __name__ == "__main__":  # accelerate launch --module motionfit.training.cli
    main()
