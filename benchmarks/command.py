"""What the commands share: options, a bar of progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from motionfit.inference.console import stderr


def in_existing_folder(path: Path | None) -> Path | None:
    """For an option that names a file to write: refuses one whose folder is not there."""
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent} to write into")
    return path


Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE.json",
        dir_okay=False,
        callback=in_existing_folder,
        help="Write the result here.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads of the runtime.", show_default="one per core"),
]
Warmup = Annotated[int, typer.Option(min=0, help="Rounds that are run first, untimed.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the order of cases and of resampling.")]


@contextmanager
def progress(what: str, *, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, nothing elsewhere; what it gives is called after each step."""
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
