"""``motionfit-bench load``: how many requests a second a running server keeps up with."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from motionfit.benchmarks.command import Output, Seed, progress
from motionfit.inference.console import show, stderr

KEY_VARIABLE = "MOTIONFIT_API_KEY"


class Arrivals(StrEnum):
    """How far apart requests are."""

    POISSON = "poisson"
    CONSTANT = "constant"


def _different(rates: list[float] | None) -> list[float] | None:
    """Refuses steps that results could not tell apart."""
    names = [f"{rate:.4g}" for rate in rates or ()]
    if len(names) > len(set(names)):
        raise typer.BadParameter(
            f"{', '.join(names)} a second are not all different: give each rate once"
        )
    return rates


Videos = Annotated[
    list[Path],
    typer.Argument(metavar="VIDEO...", help="Real videos.", exists=True, dir_okay=False),
]


def load_command(
    url: Annotated[str, typer.Argument(metavar="URL", help="http://HOST:PORT of the server.")],
    videos: Videos,
    output: Output = None,
    rates: Annotated[
        list[float] | None,
        typer.Option(
            "--rate",
            min=0.01,
            max=5000,
            metavar="N",
            callback=_different,
            help="Requests per second of a step; repeatable. Without it, the knee is looked for.",
        ),
    ] = None,
    first_rate: Annotated[
        float, typer.Option("--from", min=0.01, max=5000, help="Where to begin looking.")
    ] = 2.0,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Of each step.")] = 15.0,
    arrivals: Annotated[
        Arrivals, typer.Option(help="Independent clients (poisson) or a fixed beat.")
    ] = Arrivals.POISSON,
    query: Annotated[
        str, typer.Option(help="Parameters of each request, such as 'clips=2&deadline=5'.")
    ] = "",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for an answer.")] = 60.0,
    seed: Seed = 0,
) -> None:
    """Load a running server in steps of rate, and find the one up to which it keeps up.

    Requests come when they are due, whatever the server does, each on a connection of its own, and
    every answer is held against what the server said of that video alone. The server's key, if it
    wants one, is taken from the variable MOTIONFIT_API_KEY. Ctrl-C keeps what was measured.
    """
    from motionfit.benchmarks.asked_alone import Endpoint, ask_alone
    from motionfit.benchmarks.load import LoadTest, Plan, load_result, next_rate
    from motionfit.benchmarks.load_table import load_notes, load_table, step_line
    from motionfit.benchmarks.result import shown_command, write_result
    from motionfit.benchmarks.session import Session
    from motionfit.benchmarks.wire import Address

    try:
        Address.of(url)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    key = os.environ.get(KEY_VARIABLE)
    endpoint = Endpoint(
        url=url.rstrip("/"),
        path=f"/classify?{query}" if query else "/classify",
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout_seconds=timeout,
    )
    plan = Plan(
        rates=tuple(rates or ()),
        first_rate=first_rate,
        seconds=seconds,
        arrivals=arrivals.value,
        seed=seed,
    )
    test = LoadTest(endpoint, ask_alone(endpoint, videos), plan)
    session = Session.start(command=shown_command(sys.argv[1:]), seed=seed)
    stopped = False
    try:
        while (rate := next_rate(test.steps, plan)) is not None:
            with progress(f"{rate:.4g}/s", total=test.requests_at(rate)) as advance:
                step = test.measure(rate, after_request=advance)
            stderr.print(step_line(step))
    except KeyboardInterrupt:
        stopped = True
    result = load_result(test, session=session)
    show([load_table(result)], load_notes(result))
    if output:
        write_result(result, output)
    if stopped:
        raise KeyboardInterrupt
