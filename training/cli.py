"""motionfit-train: fit a student, describe one."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.inference.console import run, stderr
from motionfit.inference.errors import require_extra

NAME = "motionfit-train"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train video action recognition students.",
    epilog="--debug, anywhere on the command line, shows the traceback of a failure.",
)

Frames = Annotated[int, typer.Option(help="Frames of a clip.", min=1, max=256)]
FrameRate = Annotated[
    float, typer.Option(help="Frames taken per second of video time.", min=0.01, max=240)
]
ShortSide = Annotated[
    int, typer.Option(help="Short side, in pixels, that frames are scaled to.", min=8, max=2048)
]
Crop = Annotated[
    int, typer.Option(help="Side, in pixels, of the square that the model sees.", min=8)
]
Width = Annotated[
    float, typer.Option(help="Multiplies all channel counts of R(2+1)D-18.", min=0.05, max=2.0)
]


@app.command("fit")
def fit_command(
    labelled: Annotated[
        Path,
        typer.Option(
            help="Data set: a folder with one sub-folder of videos per class, or a CSV with the "
            "columns path (relative to the CSV) and label, or a folder with such a metadata.csv."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Run folder to write; new or empty.")
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(help="Use only these rows, as column=value[,value]. Repeatable: all hold."),
    ] = None,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(
            help="Of those, keep these from training, to measure and calibrate on: "
            "column=value[,value]. Repeatable: all hold."
        ),
    ] = None,
    calibration_from: Annotated[
        Path | None,
        typer.Option(
            help="Copy score temperature and abstain threshold from this earlier run, which held "
            "videos out; for a run that trains on all of them."
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(help="Passes over the videos, one random clip of each a pass.", min=1)
    ] = 70,
    batch_size: Annotated[int, typer.Option(help="Clips a step.", min=2)] = 16,
    learning_rate: Annotated[
        float, typer.Option(help="AdamW's, at its highest.", min=0.0)
    ] = 1.5e-3,
    weight_decay: Annotated[float, typer.Option(help="AdamW's.", min=0.0)] = 0.05,
    label_smoothing: Annotated[
        float, typer.Option(help="Share of the target spread over all classes.", min=0.0, max=0.9)
    ] = 0.1,
    warmup: Annotated[
        float, typer.Option(help="Share of the steps in which the rate rises.", min=0.0, max=1.0)
    ] = 0.1,
    width: Width = 0.25,
    frames: Frames = 8,
    frame_rate: FrameRate = 10.0,
    short_side: ShortSide = 72,
    crop: Crop = 64,
    seed: Annotated[int, typer.Option(help="Decides every random number.", min=0)] = 0,
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Train through torch.compile: faster, needs a compiler."),
    ] = False,
) -> None:
    """Train a student on labelled videos; write RUN/checkpoint.safetensors when it is done.

    Every readable video is decoded once, into memory: frames * 3 * short side * long side bytes.
    Unreadable ones are named and left out. Without --hold-out and --calibration-from the scores
    are not calibrated: temperature 1, and no answer is withheld.
    """
    if hold_out and calibration_from is not None:
        raise typer.BadParameter("give --hold-out or --calibration-from, not both")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise typer.BadParameter(f"{output} exists and is not an empty folder", param_hint="-o")
    require_extra("train", "torch", "torchvision", "safetensors")
    from motionfit.training.fit import FitOptions, fit
    from motionfit.training.loop import Recipe
    from motionfit.training.manifest import parse_filter
    from motionfit.training.provenance import command_line

    spec = ClipSpec(num_frames=frames, frame_rate=frame_rate, short_side=short_side, crop=crop)
    options = FitOptions(
        labelled=labelled,
        output=output,
        where=tuple(parse_filter(text) for text in where or ()),
        hold_out=tuple(parse_filter(text) for text in hold_out or ()),
        calibration_from=calibration_from,
        spec=spec,
        width=width,
        recipe=Recipe(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            label_smoothing=label_smoothing,
            warmup=warmup,
            seed=seed,
            compiled=compiled,
        ),
        command=command_line([NAME, *sys.argv[1:]]),
    )
    try:
        fit(options, console=stderr)
    except KeyboardInterrupt:
        stderr.print(f"no checkpoint was written to {output}", markup=False)
        raise


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
