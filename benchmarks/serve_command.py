"""``motionfit-bench serve``: what the server costs, and how it behaves under load."""

import sys
from typing import Annotated

import typer

from motionfit.benchmarks.command import (
    BundleAndVideos,
    Decoders,
    Output,
    Seed,
    Threads,
    Warmup,
    bundle_and_videos,
    progress,
)
from motionfit.inference.console import show
from motionfit.inference.runner import Backend


def serve_command(
    paths: BundleAndVideos,
    output: Output = None,
    backend: Annotated[Backend, typer.Option(help="Runtime.")] = Backend.AUTO,
    threads: Threads = None,
    decoders: Decoders = 2,
    starts: Annotated[int, typer.Option(min=1, help="Fresh servers whose start is timed.")] = 5,
    rounds: Annotated[
        int, typer.Option(min=1, help="Samples of each video with one client; 11 allow medians.")
    ] = 64,
    warmup: Warmup = 3,
    saturation_rounds: Annotated[
        int, typer.Option(min=1, help="Turns of server and Python, both kept busy.")
    ] = 12,
    saturation_seconds: Annotated[float, typer.Option(min=0.1, help="Of each turn, about.")] = 5.0,
    overload_seconds: Annotated[
        float, typer.Option(min=0.1, help="Of twice as many requests as it can answer.")
    ] = 30.0,
    deadline: Annotated[
        float, typer.Option(min=0.1, help="Seconds that those requests give the server.")
    ] = 2.0,
    seed: Seed = 0,
) -> None:
    """Start the server and hold it against decoding and the model called in Python.

    Both must give equal answers first. Then: one client, many, twice as many as it can answer, and
    how long a fresh server takes to be ready. Clients and server share this machine's cores. Exit
    code 1 when one of the targets is missed.
    """
    from motionfit.benchmarks.result import shown_command, write_result
    from motionfit.benchmarks.serve import Plan
    from motionfit.benchmarks.serve_result import serve_result
    from motionfit.benchmarks.session import Session
    from motionfit.benchmarks.tables import timing_notes, timing_table
    from motionfit.benchmarks.target_table import fault_notes, missed, target_table
    from motionfit.inference.bundle import Bundle

    bundle, videos = bundle_and_videos(paths)
    plan = Plan(
        bundle=bundle,
        videos=videos,
        backend=backend,
        threads=threads,
        decoders=decoders,
        starts=starts,
        rounds=rounds,
        warmup_rounds=warmup,
        saturation_rounds=saturation_rounds,
        saturation_seconds=saturation_seconds,
        overload_seconds=overload_seconds,
        deadline_seconds=deadline,
        seed=seed,
    )
    session = Session.start(command=shown_command(sys.argv[1:]), seed=seed)
    result = serve_result(
        Bundle.open(bundle),
        plan,
        session=session,
        watch=lambda phase, total: progress(phase, total=total),
    )
    show(
        [timing_table(result), target_table(result)],
        [*fault_notes(result), *timing_notes(result)],
    )
    if output:
        write_result(result, output)
    if missed(result):
        raise typer.Exit(1)
