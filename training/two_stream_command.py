"""``motionfit-train two-stream``: a network of RGB, one of flow, and both together."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from motionfit.inference.console import show, stderr
from motionfit.inference.errors import require_extra
from motionfit.training.report_command import (
    Labelled,
    Lists,
    Where,
    check_new,
)


def two_stream_command(
    rgb_run: Annotated[
        Path, typer.Argument(metavar="RGB_RUN", help="A run folder or a checkpoint file.")
    ],
    flow_run: Annotated[
        Path,
        typer.Argument(metavar="FLOW_RUN", help="The same, of a network that takes optical flow."),
    ],
    labelled: Labelled,
    flow: Annotated[
        Path, typer.Option(help="Folder of computed flow; what is missing there is computed.")
    ],
    lists: Lists = None,
    where: Where = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for two_stream.json and two_stream.md; new or empty.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resampling for intervals.")] = 0,
) -> None:
    """Report the accuracy of an RGB network, of a flow network, and of both on the same videos.

    The scores of both are the mean of their class scores with equal weights: late fusion. It needs
    flow for every video, so it shows what flow could add, not what the student gives in use.
    """
    check_new(output)
    require_extra("train", "cv2", "safetensors", "torch", "torchvision")
    from motionfit.training.manifest import parse_filter
    from motionfit.training.provenance import command_line
    from motionfit.training.tables import table_of
    from motionfit.training.two_stream_report import TwoStreamOptions, two_stream_report
    from motionfit.training.two_stream_text import notes, table_lines, write_two_stream

    options = TwoStreamOptions(
        rgb=rgb_run,
        flow=flow_run,
        folder=flow,
        labelled=labelled,
        lists=lists,
        where=tuple(parse_filter(text) for text in where or ()),
        seed=seed,
        command=command_line(["motionfit-train", *sys.argv[1:]]),
    )
    report = two_stream_report(options, console=stderr)
    show([table_of(table_lines(report))], notes(report))
    if output is not None:
        write_two_stream(report, output)
        stderr.print(f"wrote {output}", markup=False)
