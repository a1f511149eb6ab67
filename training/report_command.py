"""What the commands that report on trained networks have in common."""

from pathlib import Path
from typing import Annotated

import typer

from motionfit.training.config import Data

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a checkpoint file.")]
Labelled = Annotated[Path, typer.Option(help=Data.model_fields["labelled"].description)]
Lists = Annotated[Path | None, typer.Option(help=Data.model_fields["lists"].description)]
Where = Annotated[list[str] | None, typer.Option(help=Data.model_fields["where"].description)]
Clips = Annotated[
    int | None,
    typer.Option(
        min=1, max=64, help="Clips of a video.", show_default="the checkpoint's own number"
    ),
]


def check_new(output: Path | None) -> None:
    """Raise BadParameter when the folder of a report holds something."""
    if output is not None and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise typer.BadParameter(f"{output} exists and is not an empty folder", param_hint="-o")
