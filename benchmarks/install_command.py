"""``motionfit-bench install``: time and size of an installation."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from motionfit.benchmarks.command import Output, Seed, progress
from motionfit.inference.console import show

MEBIBYTE = 1024**2
MOST_SHOWN = 12


def install_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="[CHECKOUT]", exists=True, file_okay=False, help="A git checkout of motionfit."
        ),
    ] = Path(),
    output: Output = None,
    extra: Annotated[str, typer.Option(help="The extra to install.")] = "cpu",
    warm_rounds: Annotated[
        int, typer.Option(min=1, help="Installations from a warm cache; 11 allow medians.")
    ] = 3,
    seed: Seed = 0,
) -> None:
    """Install motionfit into fresh virtual environments: how long it takes, how large it is.

    A wheel is built from the checkout. The first installation finds pip's cache empty and
    downloads everything, the others find it warm.
    """
    from motionfit.benchmarks.install import Plan, install_result
    from motionfit.benchmarks.result import shown_command, write_result
    from motionfit.benchmarks.session import Session

    if not (source / "pyproject.toml").is_file():
        raise typer.BadParameter(f"{source} is no checkout: it has no pyproject.toml")
    plan = Plan(source=source, extra=extra, warm_rounds=warm_rounds, seed=seed)
    session = Session.start(command=shown_command(sys.argv[1:]), seed=seed)
    with (
        TemporaryDirectory() as folder,
        progress("steps", total=2 + warm_rounds) as advance,
    ):
        result = install_result(plan, folder=Path(folder), session=session, after_step=advance)
    sizes = [one for one in result.figures if one.name.startswith("size/")]
    shown = [
        *(f"{case.name}: {case.summary.mean / 1000:.1f} s" for case in result.cases),
        *(
            f"{one.value / MEBIBYTE:8.1f} MiB  {one.name.removeprefix('size/')}"
            for one in sizes[:MOST_SHOWN]
        ),
    ]
    if rest := sizes[MOST_SHOWN:]:
        amount = sum(one.value for one in rest) / MEBIBYTE
        shown.append(f"{amount:8.1f} MiB  {len(rest)} others")
    show([], shown)
    if output:
        write_result(result, output)
