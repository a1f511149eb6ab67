"""``motionfit-bench endure``: a server under ten thousand requests of all sorts."""

import sys
from typing import Annotated

import typer

from motionfit.benchmarks.command import (
    BundleAndVideos,
    Decoders,
    Output,
    Seed,
    bundle_and_videos,
    progress,
)
from motionfit.inference.console import show


def endure_command(
    paths: BundleAndVideos,
    output: Output = None,
    requests: Annotated[int, typer.Option(min=100, help="Requests in all.")] = 10_000,
    clients: Annotated[
        int, typer.Option(min=1, max=1000, help="Requests under way at the same time.")
    ] = 16,
    decoders: Decoders = 2,
    seed: Seed = 0,
) -> None:
    """Start the server and ask it for everything: good, bad, hostile, slow and cut-off requests.

    Every answer is held against what the server said when it was asked alone. In the end there must
    be no more memory, processes and files in use than after the warm-up. Exit code 1 when a target
    is missed.
    """
    from motionfit.benchmarks.endure import Plan, endure_result
    from motionfit.benchmarks.endure_table import endure_table
    from motionfit.benchmarks.result import shown_command, write_result
    from motionfit.benchmarks.session import Session
    from motionfit.benchmarks.target_table import fault_notes, missed, target_table
    from motionfit.inference.bundle import Bundle

    bundle, videos = bundle_and_videos(paths)
    plan = Plan(
        bundle=bundle,
        videos=videos,
        requests=requests,
        clients=clients,
        decoders=decoders,
        seed=seed,
    )
    session = Session.start(command=shown_command(sys.argv[1:]), seed=seed)
    result = endure_result(
        Bundle.open(bundle),
        plan,
        session=session,
        watch=lambda phase, total: progress(phase, total=total),
    )
    show([endure_table(result), target_table(result)], fault_notes(result))
    if output:
        write_result(result, output)
    if missed(result):
        raise typer.Exit(1)
