"""What the commands share: options, a bar of progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from motionfit.inference.console import stderr

EMBEDDED = "embedded"


def in_existing_folder(path: Path | None) -> Path | None:
    """For an option that names a file to write: refuses one whose folder is not there."""
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent} to write into")
    return path


_OUTPUT = typer.Option(
    "-o",
    "--output",
    metavar="FILE.json",
    dir_okay=False,
    callback=in_existing_folder,
    help="Write the result here.",
)
Output = Annotated[Path | None, _OUTPUT]
RequiredOutput = Annotated[Path, _OUTPUT]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads of the runtime.", show_default="one per core"),
]
Warmup = Annotated[int, typer.Option(min=0, help="Rounds that are run first, untimed.")]
BundleAndVideos = Annotated[
    list[Path],
    typer.Argument(
        metavar="[BUNDLE] VIDEO...",
        help=f"Real videos; before them, a bundle's folder or the word '{EMBEDDED}'.",
    ),
]
Decoders = Annotated[int, typer.Option(min=1, max=64, help="Decoding processes.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the order of cases and of resampling.")]


def bundle_and_videos(paths: list[Path]) -> tuple[str | None, tuple[Path, ...]]:
    """The bundle (None for the embedded one) and the videos that a command was given."""
    bundle = None
    if paths[0].is_dir() or paths[0] == Path(EMBEDDED):
        bundle = None if paths[0] == Path(EMBEDDED) else str(paths[0])
        paths = paths[1:]
    if not paths:
        raise typer.BadParameter("no video was named")
    for path in paths:
        if not path.is_file():
            raise typer.BadParameter(f"there is no video {path}")
    return bundle, tuple(paths)


@contextmanager
def progress(what: str, *, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, nothing elsewhere; what it gives is called after each step."""
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
