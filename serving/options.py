"""Flags that several commands of motionfit-serve have; each is a setting, with its help."""

from pathlib import Path
from typing import Annotated, Any

import typer

from motionfit.inference.backends import Backend, Device
from motionfit.serving.settings import ENV_PREFIX, Settings, SettingsError, read_settings

SERVER, MODEL, LIMITS = "Server", "Model", "Limits"


def setting(
    name: str, *, flag: str = "", metavar: str | None = None, panel: str | None = None
) -> Any:
    """The flag of a setting: its help and default are the setting's own."""
    field = Settings.model_fields[name]
    return typer.Option(
        flag or f"--{name.replace('_', '-')}",
        metavar=metavar,
        help=field.description,
        show_default=str(field.default) if field.default is not None else False,
        envvar=f"{ENV_PREFIX}{name.upper()}",
        show_envvar=False,
        rich_help_panel=panel,
    )


ConfigOption = Annotated[Path | None, setting("config", metavar="FILE", panel=SERVER)]
BundleOption = Annotated[Path | None, setting("bundle", panel=MODEL)]
BackendOption = Annotated[Backend | None, setting("backend", panel=MODEL)]
DeviceOption = Annotated[Device | None, setting("device", panel=MODEL)]
ThreadsOption = Annotated[int | None, setting("threads", panel=MODEL)]
KeysOption = Annotated[Path | None, setting("keys", metavar="FILE", panel=SERVER)]


def settings_of(**given: Any) -> Settings:
    """The settings; what is None was not given. Wrong ones are wrong use of the command."""
    try:
        return read_settings(**{name: v for name, v in given.items() if v is not None})
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from error
