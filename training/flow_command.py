"""``motionfit-train flow``: the optical flow of a data set, computed once."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from motionfit.inference.console import stderr
from motionfit.inference.errors import require_extra
from motionfit.training.config import Clip, Data
from motionfit.training.flow_spec import FlowMethod, FlowSpec


def flow_command(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET",
            help="Any folder of videos, or a CSV with the column path; no labels are needed.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FLOW", help="Folder for the flow, of any data sets."
        ),
    ],
    lists: Annotated[Path | None, typer.Option(help=Data.model_fields["lists"].description)] = None,
    where: Annotated[
        list[str] | None, typer.Option(help=Data.model_fields["where"].description)
    ] = None,
    frames: Annotated[int, typer.Option(min=1, max=256, help="Flow fields of a clip.")] = 8,
    frame_rate: Annotated[
        float, typer.Option(help=Clip.model_fields["frame_rate"].description)
    ] = 10.0,
    short_side: Annotated[
        int, typer.Option(help="Short side, in pixels, to which flow is reduced.")
    ] = 72,
    method: Annotated[
        FlowMethod,
        typer.Option(help="DIS is by far the fastest; TV-L1 and RAFT take up to a second a field."),
    ] = "dis",
    compute_side: Annotated[
        int, typer.Option(help="Short side, in pixels, at which flow is computed.")
    ] = 128,
    gap_seconds: Annotated[
        float, typer.Option(help="Flow is from a frame to the one about so much later.")
    ] = 0.1,
    grid_clips: Annotated[
        int, typer.Option(min=1, max=64, help="Clips of a video, spread evenly over it.")
    ] = 8,
) -> None:
    """Compute the optical flow that teachers are trained on and that they label clips by.

    Only what is not there yet is computed: after Ctrl-C or a kill, run it again. Several of these
    may fill one folder at the same time. Videos that cannot be read are named and left out.
    """
    require_extra("train", "cv2")
    from motionfit.training.flow_store import open_flow
    from motionfit.training.flow_summary import summary_of
    from motionfit.training.manifest import parse_filter
    from motionfit.training.unlabelled import of_one_class, read_unlabelled

    spec = FlowSpec(
        method=method,
        compute_side=compute_side,
        gap_seconds=gap_seconds,
        short_side=short_side,
        num_frames=frames,
        frame_rate=frame_rate,
        grid_clips=grid_clips,
    )
    rows = read_unlabelled(dataset, lists=lists, where=[parse_filter(text) for text in where or ()])
    flow = open_flow(of_one_class(rows), folder=output, spec=spec, console=stderr)
    for line in summary_of(flow, spec=spec):
        Console(highlight=False).print(line, markup=False, soft_wrap=True)
