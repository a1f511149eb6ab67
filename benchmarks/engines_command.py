"""``motionfit-bench engines`` and ``engines-plot``: the network in several engines, on the CPU."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from motionfit.benchmarks.command import (
    Output,
    Seed,
    Threads,
    Warmup,
    in_existing_folder,
)
from motionfit.inference.errors import require_extra

Width = Annotated[float, typer.Option(min=0.05, max=2, help="Of the network.")]
Frames = Annotated[int, typer.Option(min=1, max=256, help="Frames of a clip.")]
Size = Annotated[int, typer.Option(min=16, max=2048, help="Side of a clip's frames.")]
Batches = Annotated[
    list[int] | None, typer.Option("--batch", min=1, max=256, help="Clips of a call; repeatable.")
]
Rounds = Annotated[int, typer.Option(min=1, help="Samples of each engine; 11 allow medians.")]


def engines_command(
    output: Output = None,
    width: Width = 1.0,
    frames: Frames = 16,
    size: Size = 112,
    batch: Batches = None,
    rounds: Rounds = 24,
    warmup: Warmup = 2,
    threads: Threads = None,
    seed: Seed = 0,
) -> None:
    """PyTorch, ONNX Runtime and OpenVINO on the CPU: ms a clip, share of what the machine can do.

    R(2+1)D-18 with made weights. Engines are first proven to give equal logits, then timed in
    turns, for one clip and for four unless --batch says otherwise.
    """
    require_extra("export", "onnx", "onnxscript", "safetensors", "torch", "torchvision")
    from motionfit.benchmarks.engines import Plan
    from motionfit.benchmarks.engines_cpu import cpu_suite
    from motionfit.benchmarks.engines_network import made_subject
    from motionfit.benchmarks.engines_run import run_suite

    batches = sizes_of(batch, usual=(1, 4))
    subject = made_subject(width=width, num_frames=frames, size=size, clips=batches[-1], seed=seed)
    run_suite(
        partial(cpu_suite, subject, threads=threads or len(os.sched_getaffinity(0))),
        Plan(batches=batches, rounds=rounds, warmup_rounds=warmup, seed=seed),
        output=output,
    )


def sizes_of(batch: Sequence[int] | None, *, usual: tuple[int, ...]) -> tuple[int, ...]:
    """The batch sizes that were asked for, smallest first, or else the usual ones."""
    return tuple(sorted(set(batch or usual)))


def engines_plot_command(
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT.json", exists=True, dir_okay=False, help="Of engines or of gpu."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE.png",
            dir_okay=False,
            callback=in_existing_folder,
            help="Write the picture here.",
        ),
    ],
) -> None:
    """Draw a result of `engines` or `gpu`."""
    require_extra("train", "matplotlib")
    from motionfit.benchmarks.engines_plot import draw_engines
    from motionfit.benchmarks.result import read_result

    draw_engines(read_result(result), output)
