"""motionfit-serve: serve a bundle over HTTP, or answer for videos without a server."""

from typing import Annotated

import typer

from motionfit.inference.console import default_command, run
from motionfit.serving.classify_command import classify_command
from motionfit.serving.key_command import key_command
from motionfit.serving.options import (
    LIMITS,
    SERVER,
    BackendOption,
    BundleOption,
    ConfigOption,
    DeviceOption,
    KeysOption,
    ThreadsOption,
    setting,
    settings_of,
)
from motionfit.serving.settings import ENV_PREFIX, LogFormat, Settings
from motionfit.serving.settings_command import settings_command

_EPILOG = (
    "motionfit-serve settings  prints all settings: most are variables, such as "
    f"{ENV_PREFIX}QUEUE_SIZE, or lines of the file that --config names. "
    "--debug anywhere shows the traceback of a failure."
)

app = typer.Typer(
    cls=default_command("run"),
    help="Serve a bundle over HTTP (run), or answer for videos (classify). "
    "Without the name of a command it is run: motionfit-serve --bundle BUNDLE.",
    epilog=_EPILOG,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
)


@app.command("run", epilog=_EPILOG)
def run_server(
    context: typer.Context,
    host: Annotated[str | None, setting("host", panel=SERVER)] = None,
    port: Annotated[int | None, setting("port", panel=SERVER)] = None,
    config: ConfigOption = None,
    keys: KeysOption = None,
    log_format: Annotated[LogFormat | None, setting("log_format", panel=SERVER)] = None,
    bundle: BundleOption = None,
    backend: BackendOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    decoders: Annotated[int | None, setting("decoders", panel=LIMITS)] = None,
    queue_size: Annotated[int | None, setting("queue_size", panel=LIMITS)] = None,
    deadline_seconds: Annotated[
        float | None,
        setting("deadline_seconds", flag="--deadline", metavar="SECONDS", panel=LIMITS),
    ] = None,
    decode_timeout_seconds: Annotated[
        float | None,
        setting("decode_timeout_seconds", flag="--decode-timeout", metavar="SECONDS", panel=LIMITS),
    ] = None,
    max_upload_mib: Annotated[
        float | None,
        typer.Option(
            help="Largest request body in MiB (1024 x 1024 bytes), form parts included.",
            show_default=f"{Settings.model_fields['max_upload_bytes'].default / 1024**2:g}",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    max_clips: Annotated[int | None, setting("max_clips", panel=LIMITS)] = None,
) -> None:
    """Serve a bundle over HTTP until Ctrl-C or SIGTERM. SIGHUP reloads it."""
    given = dict(context.params)
    if (mib := given.pop("max_upload_mib")) is not None:
        given["max_upload_bytes"] = int(mib * 1024**2)
    settings = settings_of(**given)
    from motionfit.serving.server import serve

    serve(settings)


app.command("classify")(classify_command)
app.command("key")(key_command)
app.command("settings")(settings_command)


def main() -> None:
    """The command motionfit-serve."""
    run(app, name="motionfit-serve")
