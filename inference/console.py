"""What the four commands share: reports, default sub-commands, exit codes, one-line errors."""

import io
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from motionfit.inference.errors import MotionfitError

# No emoji: a file may be called :smile:.mp4.
stderr = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def show(tables: Iterable[Table], notes: Iterable[str]) -> None:
    """Print tables, then notes, a line each."""
    console = Console(highlight=False)
    for table in tables:
        console.print(table)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)


def default_command(name: str) -> type[TyperGroup]:
    """A group whose arguments go to the sub-command ``name`` unless they name another one.

    Without any, they do as well, unless the group is made to show its help then.
    """

    class GroupWithDefault(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            own = {option for parameter in self.get_params(ctx) for option in parameter.opts}
            completing = ctx.resilient_parsing and not args
            named = args[0] in own | set(self.commands) if args else self.no_args_is_help
            if not completing and not named:
                args = [name, *args]
            return super().parse_args(ctx, args)

        def shell_complete(self, ctx: Any, incomplete: str) -> Any:
            own = super().shell_complete(ctx, incomplete)
            offered = {item.value for item in own}
            default = self.commands[name].shell_complete(ctx, incomplete)
            return own + [item for item in default if item.value not in offered]

    return GroupWithDefault


def run(app: typer.Typer, *, name: str) -> None:
    """Run a command and exit: 0 done, 1 failure (one line on stderr), 2 wrong use, 130 stopped
    by Ctrl-C or SIGTERM.

    ``--debug`` anywhere on the command line shows the traceback of a failure.
    """
    debug = "--debug" in sys.argv
    arguments = [arg for arg in sys.argv[1:] if arg != "--debug"]
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name that is not valid text must not be what an answer fails on.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(_exit_code(lambda: app(args=arguments, prog_name=name), debug=debug))


def _exit_code(command: Callable[[], Any], *, debug: bool) -> int:
    try:
        command()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if debug:
            raise
        stderr.print(Text.assemble(("error:", "bold red"), " ", _one_line(error)))
        return 1
    return 0


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).splitlines())
    if isinstance(error, MotionfitError | OSError):
        return text
    return f"unexpected {type(error).__name__}: {text} (--debug shows where)"


def _terminate(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
