"""``motionfit-serve settings``: all settings, as the TOML file that would make them."""

import json
from collections.abc import Iterator
from typing import Any

import typer

from motionfit.serving.options import ConfigOption, settings_of
from motionfit.serving.settings import ENV_PREFIX, Settings

_HEAD = f"""\
# Settings of motionfit-serve. A flag wins over a variable ({ENV_PREFIX}PORT), which wins over the
# file that --config or {ENV_PREFIX}CONFIG names. Lines with a # are defaults.
"""


def settings_command(config: ConfigOption = None) -> None:
    """Print all settings with their defaults, and those that are set here, as a TOML file."""
    typer.echo(_HEAD)
    typer.echo("\n\n".join(_entries(settings_of(config=config))))


def _entries(settings: Settings) -> Iterator[str]:
    values = settings.shown()
    for name, field in Settings.model_fields.items():
        if name == "config":
            continue
        sign = "# " if getattr(settings, name) == field.default else ""
        yield f"# {field.description}\n{sign}{name} = {_toml(values[name])}".rstrip()


def _toml(value: Any) -> str:
    # JSON's texts, numbers, truths and lists are TOML's too. TOML has nothing for None.
    return "" if value is None else json.dumps(value, ensure_ascii=False)
