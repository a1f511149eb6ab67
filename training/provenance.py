"""Where a run came from: revision, versions, the command. Never a machine's paths."""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from motionfit.inference.versions import installed_versions

LIBRARIES = ("motionfit", "torch", "torchvision", "numpy", "av", "safetensors")


def git_revision() -> str | None:
    """The commit of the source in use, with ``-dirty`` if it was changed; None outside git."""
    here = Path(__file__)
    if _git("ls-files", "--error-unmatch", here.name, folder=here.parent) is None:
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*", folder=here.parent)


def versions() -> dict[str, str]:
    """Versions of the libraries that decide what a run gives."""
    return installed_versions(LIBRARIES)


def command_line(arguments: Sequence[str]) -> str:
    """``arguments`` (the program first) as one line, each path cut down to its last part."""
    return shlex.join(_without_folders(argument) for argument in arguments)


def _without_folders(argument: str) -> str:
    option, equals, value = argument.partition("=") if argument[:2] == "--" else ("", "", argument)
    return option + equals + (Path(value).name if "/" in value else value)


def _git(*arguments: str, folder: Path) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
