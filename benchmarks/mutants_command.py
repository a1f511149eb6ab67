"""``motionfit-bench mutants``: damaged videos through the decoder and the server."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from motionfit.benchmarks.command import (
    BundleAndVideos,
    Output,
    Seed,
    bundle_and_videos,
    progress,
)
from motionfit.inference.console import show, stderr


def mutants_command(
    paths: BundleAndVideos,
    output: Output = None,
    count: Annotated[int, typer.Option(min=1, help="Mutants.")] = 5000,
    http: Annotated[int, typer.Option(min=0, help="Those that are uploaded as well.")] = 200,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Decoding processes.")] = 2,
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Write those that crash the decoder, or run out of time, here.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Damage videos in thousands of ways: each must give an answer or a clear error.

    Mutants are made of the videos and of a second of the first one, encoded again in ten
    containers. A sample is uploaded to a server, which must say the same. Exit code 1 when a target
    is missed.
    """
    from motionfit.benchmarks.mutants import (
        Plan,
        differences,
        mutants_of,
        mutants_result,
        originals_of,
        outcomes_of,
        written,
    )
    from motionfit.benchmarks.mutants_table import mutants_table
    from motionfit.benchmarks.result import shown_command, write_result
    from motionfit.benchmarks.session import Session
    from motionfit.benchmarks.target_table import fault_notes, missed, target_table
    from motionfit.inference.bundle import Bundle

    name, videos = bundle_and_videos(paths)
    plan = Plan(
        bundle=name, videos=videos, count=count, http=min(http, count), workers=workers, seed=seed
    )
    bundle = Bundle.open(name)
    session = Session.start(command=shown_command(sys.argv[1:]), seed=seed)
    originals, records = originals_of(videos, spec=bundle.spec)
    mutants = mutants_of(originals, count=count, seed=seed)
    outcomes = []
    with progress("mutants", total=count) as advance:
        for one in outcomes_of(mutants, spec=bundle.spec, workers=workers):
            outcomes.append(one)
            advance()
    with progress("uploads", total=plan.http) as advance:
        different = differences(outcomes, plan, after_mutant=advance)
    result = mutants_result(
        outcomes, plan, bundle=bundle, records=records, different=different, session=session
    )
    show([mutants_table(result), target_table(result)], fault_notes(result))
    if keep is not None:
        for path in written(outcomes, keep):
            stderr.print(f"kept: {path}", markup=False)
    if output:
        write_result(result, output)
    if missed(result):
        raise typer.Exit(1)
