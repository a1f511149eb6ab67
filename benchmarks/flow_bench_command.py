"""``motionfit-bench flow``: how fast flow is computed, beside a few lines of OpenCV."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from motionfit.inference.console import stderr
from motionfit.inference.errors import require_extra


def flow_command(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET", exists=True, help="A folder per class, or a CSV (path, label, ...)."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE.json", dir_okay=False, help="Write the result here."
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE[,VALUE]", help="Only these videos; may be repeated."),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="A motion teacher, to measure what storing flow costs it in accuracy on them.",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each; 11 allow medians.")] = 11,
    warmup: Annotated[int, typer.Option(min=0, help="Rounds that are run first, untimed.")] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the order of cases and of resampling.")
    ] = 0,
) -> None:
    """Videos a second of DIS flow, beside a plain loop of OpenCV on the same videos.

    Both are first proven to give the same flow where they look at the same frames.
    """
    if output is not None and not output.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {output.parent} to write into")
    require_extra("train", "cv2")
    from motionfit.benchmarks.flow_speed import Plan, flow_result
    from motionfit.benchmarks.flow_storage import storage_cost
    from motionfit.benchmarks.flow_table import flow_notes, flow_table
    from motionfit.benchmarks.result import shown_command, write_result
    from motionfit.benchmarks.session import Session
    from motionfit.training.checkpoint import load_checkpoint
    from motionfit.training.flow_spec import FlowSpec
    from motionfit.training.manifest import data_hash, matching, parse_filter, read_manifest

    rows = matching(read_manifest(dataset), [parse_filter(text) for text in where or ()])
    session = Session.start(command=shown_command(sys.argv[1:]), seed=seed)
    cost: Mapping[str, int | float] = {}
    if teacher is not None:
        cost = storage_cost(load_checkpoint(teacher), rows, console=stderr).settings()
    with Progress(console=stderr, transient=True) as progress:
        task = progress.add_task("rounds", total=rounds + warmup)
        result = flow_result(
            rows,
            Plan(spec=FlowSpec(), rounds=rounds, warmup_rounds=warmup, seed=seed),
            data={
                "dataset": dataset.name,
                "where": " ".join(where or ()),
                "videos": len(rows),
                "videos_sha256": data_hash(rows),
                **cost,
            },
            session=session,
            after_round=lambda: progress.advance(task),
        )
    console = Console(highlight=False)
    console.print(flow_table(result))
    for note in flow_notes(result):
        console.print(note, markup=False, soft_wrap=True)
    if output is not None:
        write_result(result, output)
