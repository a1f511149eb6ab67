"""``motionfit-train retrieve``: which videos a network puts together."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from motionfit.inference.console import stderr
from motionfit.inference.errors import require_extra
from motionfit.training.config import Data


def retrieve_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a checkpoint file.")],
    labelled: Annotated[Path, typer.Option(help=Data.model_fields["labelled"].description)],
    gallery: Annotated[
        list[str],
        typer.Option(help="Videos to search, as column=value[,value]; several must all hold."),
    ],
    queries: Annotated[
        list[str],
        typer.Option(help="Videos to search with, as column=value[,value]."),
    ],
    lists: Annotated[Path | None, typer.Option(help=Data.model_fields["lists"].description)] = None,
    where: Annotated[
        list[str] | None, typer.Option(help=Data.model_fields["where"].description)
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, help="Clips of a video.", show_default="the checkpoint's own number"
        ),
    ] = None,
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
    if output is not None and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise typer.BadParameter(f"{output} exists and is not an empty folder", param_hint="-o")
    require_extra("train", "matplotlib", "safetensors", "torch", "torchvision")
    from motionfit.training.embedded_parts import PartsOptions
    from motionfit.training.manifest import parse_filter
    from motionfit.training.provenance import command_line
    from motionfit.training.retrieval_report import lines, notes, retrieval_report, write_retrieval
    from motionfit.training.tables import table_of

    options = PartsOptions(
        run=run,
        labelled=labelled,
        lists=lists,
        where=tuple(parse_filter(text) for text in where or ()),
        reference=tuple(parse_filter(text) for text in gallery),
        test=tuple(parse_filter(text) for text in queries),
        clips=clips,
        seed=seed,
        command=command_line(["motionfit-train", *sys.argv[1:]]),
    )
    report = retrieval_report(options, console=stderr)
    console = Console(highlight=False)
    console.print(table_of([lines(report)]))
    for note in notes(report):
        console.print(note, markup=False, soft_wrap=True)
    if output is not None:
        write_retrieval(report, output, options=options, console=stderr)
        stderr.print(f"wrote {output}", markup=False)
