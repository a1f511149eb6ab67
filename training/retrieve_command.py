"""``motionfit-train retrieve``: which videos a network puts together."""

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


def retrieve_command(
    run: Run,
    labelled: Labelled,
    gallery: Annotated[
        list[str] | None,
        typer.Option(
            help="Videos to search, as column=value[,value]; several must all hold. The column "
            "used says what the run did with a video: training, held_out or not.",
            show_default="used=training",
        ),
    ] = None,
    queries: Annotated[
        list[str] | None,
        typer.Option(
            help="Videos to search with, in the same form.",
            show_default="used=held_out",
        ),
    ] = None,
    lists: Lists = None,
    where: Where = None,
    clips: Clips = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for retrieval.json, retrieval.md and retrieval.png; new or empty.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the intervals and of the examples shown.")
    ] = 0,
) -> None:
    """Report how often the nearest videos of the gallery show the class of a query.

    A video is the mean over its clips of the network's embedding; labels are used only to count.
    R@k is the share of queries with a video of their class among the k nearest.
    """
    check_new(output)
    require_extra("train", "matplotlib", "safetensors", "torch", "torchvision")
    from motionfit.training.embedded_parts import OF_HELD_OUT, OF_TRAINING, PartsOptions
    from motionfit.training.manifest import parse_filter
    from motionfit.training.provenance import command_line
    from motionfit.training.retrieval_report import lines, notes, retrieval_report, write_retrieval
    from motionfit.training.tables import table_of

    options = PartsOptions(
        run=run,
        labelled=labelled,
        lists=lists,
        where=tuple(parse_filter(text) for text in where or ()),
        reference=tuple(parse_filter(text) for text in gallery or [OF_TRAINING]),
        test=tuple(parse_filter(text) for text in queries or [OF_HELD_OUT]),
        clips=clips,
        seed=seed,
        command=command_line(["motionfit-train", *sys.argv[1:]]),
    )
    report = retrieval_report(options, console=stderr)
    show([table_of([lines(report)])], notes(report))
    if output is not None:
        write_retrieval(report, output, options=options, console=stderr)
        stderr.print(f"wrote {output}", markup=False)
