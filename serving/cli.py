"""motionfit-serve: serve a bundle over HTTP, or answer for videos without a server."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from motionfit.inference.backends import Backend, Device
from motionfit.inference.console import default_command, run
from motionfit.serving.settings import ENV_PREFIX, Settings

_EPILOG = (
    f"Settings can also be variables: {ENV_PREFIX}PORT, {ENV_PREFIX}MAX_UPLOAD_BYTES, "
    f"{ENV_PREFIX}DECODE_TIMEOUT_SECONDS, ... --debug anywhere shows the traceback of a failure."
)

app = typer.Typer(
    cls=default_command("run"),
    help="Serve a bundle over HTTP (run), or answer for videos without a server (classify). "
    "Without the name of a command it is run: motionfit-serve --bundle BUNDLE.",
    epilog=_EPILOG,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
)


def _option(name: str, *, flag: str = "", metavar: str | None = None) -> Any:
    """The flag of a setting: its help and default are the setting's own."""
    field = Settings.model_fields[name]
    return typer.Option(
        flag or f"--{name.replace('_', '-')}",
        metavar=metavar,
        help=field.description,
        show_default=str(field.default) if field.default is not None else False,
        envvar=f"{ENV_PREFIX}{name.upper()}",
        show_envvar=False,
    )


BundleOption = Annotated[Path | None, _option("bundle")]
BackendOption = Annotated[Backend | None, _option("backend")]
DeviceOption = Annotated[Device | None, _option("device")]
ThreadsOption = Annotated[int | None, _option("threads")]
ClipsOption = Annotated[
    int | None,
    typer.Option(min=1, max=64, help="Clips to look at; the bundle's own by default."),
]


@app.command("run", epilog=_EPILOG)
def run_server(
    context: typer.Context,
    host: Annotated[str | None, _option("host")] = None,
    port: Annotated[int | None, _option("port")] = None,
    bundle: BundleOption = None,
    backend: BackendOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    max_upload_mib: Annotated[
        float | None,
        typer.Option(
            help="Largest request body in MiB (1024 x 1024 bytes), form parts included.",
            show_default=f"{Settings.model_fields['max_upload_bytes'].default / 1024**2:g}",
        ),
    ] = None,
    decode_timeout_seconds: Annotated[
        float | None, _option("decode_timeout_seconds", flag="--decode-timeout", metavar="SECONDS")
    ] = None,
    decoders: Annotated[int | None, _option("decoders")] = None,
    max_clips: Annotated[int | None, _option("max_clips")] = None,
) -> None:
    """Serve a bundle over HTTP until Ctrl-C or SIGTERM."""
    given = {name: value for name, value in context.params.items() if value is not None}
    if (mib := given.pop("max_upload_mib", None)) is not None:
        given["max_upload_bytes"] = int(mib * 1024**2)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise typer.BadParameter(_one_line(error)) from error
    from motionfit.serving.server import serve

    serve(settings)


@app.command(epilog=_EPILOG)
def classify(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Video files.")],
    bundle: BundleOption = None,
    backend: BackendOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    clips: ClipsOption = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to name, best first.")] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a video and line.")
    ] = False,
) -> None:
    """Answer for video files, one line each. Exit code 1 when any could not be read."""
    from motionfit.inference.classifier import Classifier
    from motionfit.inference.errors import VideoError
    from motionfit.serving.lines import as_json_line, as_text, local_body, print_failure

    failed = False
    with Classifier.open(
        bundle,
        backend=backend or Backend.AUTO,
        device=device or Device.AUTO,
        threads=threads,
    ) as classifier:
        for video in videos:
            try:
                body = local_body(classifier.classify(video, clips=clips, top=top))
            except (VideoError, OSError) as error:
                failed = True
                print_failure(video, error)
                continue
            typer.echo(as_json_line(video, body) if as_json else as_text(video, body))
    if failed:
        raise typer.Exit(1)


def _one_line(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in wrong['loc'])}: {wrong['msg']}, got {wrong['input']!r}"
        for wrong in error.errors()
    )


def main() -> None:
    """The command motionfit-serve."""
    run(app, name="motionfit-serve")
