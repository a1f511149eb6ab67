"""``motionfit-serve classify``: answers for videos, by a model here or by a running server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motionfit.inference.backends import Backend, Device
from motionfit.serving.options import BackendOption, BundleOption, DeviceOption, ThreadsOption
from motionfit.serving.settings import ENV_PREFIX

if TYPE_CHECKING:
    from motionfit.serving.work.ask import Ask

_OF_THE_SERVER = ("bundle", "backend", "device", "threads")


def classify_command(
    context: typer.Context,
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="[URL] VIDEO...",
            help="Video files; before them the address of a server that shall answer.",
        ),
    ],
    bundle: BundleOption = None,
    backend: BackendOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    clips: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Clips to look at; the bundle's own by default."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to name, best first.")] = 5,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Look at all of each video, and say what is when.")
    ] = False,
    stride: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="SECONDS",
            help="With --timeline: from the start of a window to the next; half a clip by default.",
        ),
    ] = None,
    start: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Look at each video from here on.")
    ] = 0.0,
    end: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="... and up to here; the end by default."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a video and line.")
    ] = False,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The server's API key; better set as a variable, which other users do not see.",
            envvar=f"{ENV_PREFIX}API_KEY",
        ),
    ] = None,
) -> None:
    """Answer for video files, one line each. Exit code 1 when any could not be read."""
    from motionfit.inference.sampling import Span
    from motionfit.serving.remote import classify_remotely, is_address
    from motionfit.serving.work.ask import Ask

    if stride is not None and not timeline:
        raise typer.BadParameter("--stride is for --timeline: give both")
    if timeline and clips is not None:
        raise typer.BadParameter("--timeline looks at all of a video: leave --clips out")
    if end is not None and end <= start:
        raise typer.BadParameter(f"--end must be over --start, {start:g}; got {end:g}")
    ask = Ask(
        clips=clips,
        top=top,
        span=Span(start_seconds=start, end_seconds=end),
        timeline=timeline,
        stride_seconds=stride,
    )
    if is_address(videos[0]):
        _check_remote(context, videos)
        failed = classify_remotely(videos[0], videos[1:], api_key=api_key, ask=ask, as_json=as_json)
    else:
        failed = _classify_here(
            [Path(video) for video in videos],
            bundle=bundle,
            backend=backend or Backend.AUTO,
            device=device or Device.AUTO,
            threads=threads,
            ask=ask,
            as_json=as_json,
        )
    if failed:
        raise typer.Exit(1)


def _check_remote(context: typer.Context, videos: list[str]) -> None:
    if len(videos) == 1:
        raise typer.BadParameter(f"name a video after {videos[0]}")
    for name in _OF_THE_SERVER:
        # Variables of the server may be set where its clients run.
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"--{name} is the server's to choose: leave it out")


def _classify_here(
    videos: list[Path],
    *,
    bundle: Path | None,
    backend: Backend,
    device: Device,
    threads: int | None,
    ask: "Ask",
    as_json: bool,
) -> bool:
    """Print a line for each video. Whether any failed."""
    from motionfit.inference.classifier import Classifier
    from motionfit.inference.errors import VideoError
    from motionfit.serving.lines import as_json_line, as_text, local_body, print_failure

    line = as_json_line if as_json else as_text
    failed = False
    with Classifier.open(bundle, backend=backend, device=device, threads=threads) as classifier:
        for video in videos:
            try:
                answer = classifier.classify(
                    video,
                    clips=ask.clips,
                    top=ask.top,
                    span=ask.span,
                    timeline=ask.timeline,
                    stride_seconds=ask.stride_seconds,
                )
            except (VideoError, OSError) as error:
                failed = True
                print_failure(video, error)
            else:
                typer.echo(line(video, local_body(answer)))
    return failed
