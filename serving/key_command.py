"""``motionfit-serve key``: make an API key, or take one back."""

from pathlib import Path
from typing import Annotated

import typer

from motionfit.inference.console import stderr
from motionfit.serving.options import ConfigOption, KeysOption, settings_of


def key_command(
    name: Annotated[
        str, typer.Argument(help="Whose key it is; logs name it. Letters, digits, dots, dashes.")
    ],
    keys: KeysOption = None,
    config: ConfigOption = None,
    rate: Annotated[
        str | None, typer.Option(help="Most requests in a time.", metavar="60/minute")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Most requests at the same time.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="It may also reload the model.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take this key back.")] = False,
) -> None:
    """Make an API key and print it, once: the file holds only its hash.

    A running server takes the change over when it reloads.
    """
    from motionfit.serving.edge.key_file import add_key, remove_key

    path = _file(keys, config)
    if remove:
        remove_key(path, name=name)
        stderr.print(f"{name} is out of {path}.", markup=False)
        return
    made = add_key(path, name=name, rate=rate, concurrency=concurrency, admin=admin)
    typer.echo(made)
    stderr.print(f"Keep it: {path} holds only its hash.", markup=False)


def _file(keys: Path | None, config: Path | None) -> Path:
    path = settings_of(keys=keys, config=config).keys
    if path is None:
        raise typer.BadParameter("name the file of the keys with --keys FILE")
    return path
