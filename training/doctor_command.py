"""motionfit-train doctor."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from motionfit.inference.console import stderr
from motionfit.inference.errors import require_extra
from motionfit.training.config import Clip


def doctor_command(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET", help="A folder per class, or a CSV (path, label, ...), as for fit."
        ),
    ],
    lists: Annotated[
        Path | None,
        typer.Option(
            help="Published lists for the videos in that folder: UCF101's or HMDB51's folder of "
            "split files, or a Kinetics CSV."
        ),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(
            help="The classes that there should be: a text file, one a line, or UCF101's "
            "classInd.txt."
        ),
    ] = None,
    frames: Annotated[int, typer.Option(help="Frames of a clip.", min=1, max=256)] = Clip().frames,
    frame_rate: Annotated[
        float, typer.Option(help="Frames taken per second of video time.", min=0.01, max=240)
    ] = Clip().frame_rate,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the whole report there, as JSON.")
    ] = None,
) -> None:
    """Look at every video of a data set; say what is wrong with it and what to do.

    Errors: videos that cannot be read or are empty, labels that are not
    in --classes, groups and duplicates on both sides of a split.

    Warnings: videos shorter than one clip (--frames / --frame-rate), other
    duplicates, classes without videos, and properties of the files that
    give the class away.

    The exit code is 1 when there are errors. Warnings leave it at 0.

    Eight moments of each video are decoded: damage elsewhere goes unseen.
    """
    require_extra("train", "sklearn")
    from motionfit.training.doctor import diagnose, print_report, write_report
    from motionfit.training.manifest import read_dataset
    from motionfit.training.row_checks import class_folders, read_classes

    if json is not None and not json.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {json.parent}", param_hint="--json")
    expected = class_folders(dataset) if lists is None else None
    report = diagnose(
        read_dataset(dataset, lists=lists),
        name=dataset.resolve().name,
        classes=expected if classes is None else read_classes(classes),
        clip_seconds=frames / frame_rate,
        console=stderr,
    )
    print_report(report, console=Console(highlight=False, soft_wrap=True, emoji=False))
    if json is not None:
        write_report(report, json)
    if report.count("error"):
        raise typer.Exit(1)
