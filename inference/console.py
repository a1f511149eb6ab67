"""What the four commands share: a default sub-command, exit codes, one-line errors, --debug."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from motionfit.inference.errors import MotionfitError

stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def default_command(name: str) -> type[TyperGroup]:
    """A group whose arguments go to the sub-command ``name`` unless they name another one."""

    class GroupWithDefault(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            own = {option for parameter in self.get_params(ctx) for option in parameter.opts}
            first = next((arg for arg in args if arg != "--debug"), None)
            if first not in self.commands and first not in own - {"--debug"}:
                args = [name, *args]
            return super().parse_args(ctx, args)

    return GroupWithDefault


def run(app: typer.Typer, *, name: str) -> None:
    """Run a command and exit: 0 done, 1 failure (one line on stderr), 2 wrong use, 130 Ctrl-C.

    ``--debug`` anywhere on the command line shows the traceback of a failure.
    """
    debug = "--debug" in sys.argv
    arguments = [arg for arg in sys.argv[1:] if arg != "--debug"]
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(_exit_code(lambda: app(args=arguments, prog_name=name), debug=debug))


def _exit_code(command: Callable[[], Any], *, debug: bool) -> int:
    try:
        command()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        stderr.print("stopped")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MotionfitError, OSError) as error:
        if debug:
            raise
        stderr.print(f"[bold red]error:[/] {_escape(error)}")
        return 1
    return 0


def _escape(error: Exception) -> str:
    return str(error).replace("[", r"\[")


def _terminate(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
