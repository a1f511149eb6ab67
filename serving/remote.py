"""``motionfit-serve classify http://HOST:PORT VIDEO...``: the answers of a running server."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from motionfit.inference.console import stderr
from motionfit.serving.client import Client, ProblemError
from motionfit.serving.lines import as_json_line, as_text, print_failure
from motionfit.serving.work.ask import Ask


def is_address(text: str) -> bool:
    """Whether an argument is a server's address, and not a file."""
    return text.startswith(("http://", "https://"))


def classify_remotely(
    url: str,
    videos: Sequence[Path | str],
    *,
    api_key: str | None,
    ask: Ask,
    as_json: bool,
) -> bool:
    """Print a line for each video, as without a server. Whether any failed.

    Raises Unreachable or UnexpectedAnswer, after which no other video would be answered either.
    """
    line = as_json_line if as_json else as_text
    failed = False
    with Client(url, api_key=api_key) as client:
        for video in videos:
            try:
                with _sending(Path(video)) as progress:
                    body = client.classify(
                        video,
                        clips=ask.clips,
                        top=ask.top,
                        start_seconds=ask.span.start_seconds,
                        end_seconds=ask.span.end_seconds,
                        timeline=ask.timeline,
                        stride_seconds=ask.stride_seconds,
                        progress=progress,
                    )
            except (ProblemError, OSError) as error:
                failed = True
                print_failure(video, error)
            else:
                typer.echo(line(video, body))
    return failed


@contextmanager
def _sending(video: Path) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal, which is gone before the answer is printed."""
    size = video.stat().st_size
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
    )
    shown = Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal)
    with shown as bar:
        task = bar.add_task(f"Sending {video.name}", total=size)

        def sent(count: int) -> None:
            doing = "Waiting for" if count >= size else "Sending"
            bar.update(task, completed=count, description=f"{doing} {video.name}")

        yield sent
