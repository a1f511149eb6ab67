"""``motionfit-train evaluate``: how right a trained student is, and how far to believe it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from motionfit.inference.console import show, stderr
from motionfit.inference.errors import require_extra
from motionfit.training.report_command import (
    Clips,
    Labelled,
    Lists,
    Run,
    Where,
    check_new,
)


def _crops(number: int) -> int:
    if number not in (1, 3):
        raise typer.BadParameter(f"1 or 3 crops are possible, got {number}")
    return number


def evaluate_command(
    run: Run,
    labelled: Labelled,
    lists: Lists = None,
    where: Where = None,
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="Use only the videos that the run held out of training."),
    ] = False,
    clips: Clips = None,
    crops: Annotated[
        int,
        typer.Option(callback=_crops, help="Crops of a clip, 1 or 3 along the long side."),
    ] = 1,
    retime: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=240,
            help="Frames a second that all videos are also re-timed to, to see whether the network "
            "reads the cadence.",
            show_default="the commonest other rate of the data set, else 25 or 29.97",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for report.json, report.md and confusion.png; new or empty.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resampling for intervals.")] = 0,
) -> None:
    """Report the accuracy of a trained student on labelled videos, and what it rests on.

    Top-1 and top-5, each class, the confusion matrix, calibration, accuracy against the number of
    clips, within each frame rate, and on the same videos re-timed to another frame rate. Videos
    that cannot be read are named and left out.
    """
    check_new(output)
    require_extra("train", "matplotlib", "safetensors", "torch", "torchvision")
    from motionfit.training.evaluate import EvaluateOptions, evaluate
    from motionfit.training.manifest import parse_filter
    from motionfit.training.provenance import command_line
    from motionfit.training.report_files import write_report
    from motionfit.training.report_text import notes, table
    from motionfit.training.retime import nominal_rate

    options = EvaluateOptions(
        run=run,
        labelled=labelled,
        lists=lists,
        where=tuple(parse_filter(text) for text in where or ()),
        held_out=held_out,
        clips=clips,
        crops=crops,
        retime=None if retime is None else nominal_rate(retime),
        seed=seed,
        command=command_line(["motionfit-train", *sys.argv[1:]]),
    )
    report = evaluate(options, console=stderr)
    show([table(report)], notes(report))
    if output is not None:
        write_report(report, output)
        stderr.print(f"wrote {output}", markup=False)
