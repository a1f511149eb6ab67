"""``motionfit-bench report`` and ``report-draw``."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motionfit.benchmarks.command import Seed, Threads
from motionfit.inference.console import show, stderr
from motionfit.inference.errors import require_extra

if TYPE_CHECKING:
    from motionfit.benchmarks.report.runner import Failed

REPORT = "report.json"
QUICK_VIDEOS = "give videos, or --runs and --data of an experiment"

Folder = Annotated[
    Path, typer.Option("-o", "--output", file_okay=False, help="Folder of the report.")
]
Others = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="FILE.json",
        exists=True,
        dir_okay=False,
        help="A report of another machine, or a result of engines or gpu; repeatable.",
    ),
]


def report_command(
    output: Folder,
    videos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="VIDEO",
            exists=True,
            dir_okay=False,
            help="Real videos to time; without them, test videos of --data.",
        ),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of motionfit-bench experiment, whose networks are taken; without it the "
            "student is the one that ships, the others have random weights and no accuracy.",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(exists=True, help="The experiment's data set.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A rough answer in about a minute.")
    ] = False,
    headline: Annotated[
        bool,
        typer.Option(
            "--headline",
            help="Only like for like, in full: to see whether another run agrees, which "
            "report-draw --with tells.",
        ),
    ] = False,
    prepare: Annotated[
        bool,
        typer.Option(
            "--prepare",
            help="Only what no clock decides (files of networks, stored flow, accuracy), which may "
            "run beside other work; then the same command without it does the rest. Accuracies are "
            "in its report.json.",
        ),
    ] = False,
    clips: Annotated[int, typer.Option(min=1, max=10, help="Clips of a video.")] = 4,
    threads: Threads = None,
    also: Others = None,
    seed: Seed = 0,
) -> None:
    """What is saved, and lost, by dropping optical flow: HTML, Markdown, JSON and pictures.

    The student is timed beside two streams of the same backbone, and the accuracy of the very same
    networks stands beside each time. Run the command again to go on after any kind of end.
    """
    require_extra("train", "cv2", "jinja2", "matplotlib", "safetensors", "torch", "torchvision")
    require_extra("export", "onnx", "onnxscript")
    require_extra("cpu", "onnxruntime")
    if not videos and (runs is None or data is None):
        raise typer.BadParameter(f"there is nothing to time: {QUICK_VIDEOS}")
    if quick and headline:
        raise typer.BadParameter("--quick and --headline exclude each other: give one of them")
    if runs is not None and data is None:
        raise typer.BadParameter("networks of an experiment need its data set: give --data")
    from motionfit.benchmarks.report.begun import (
        begin,
        read_begun,
        refuse_other_options,
        refuse_other_run,
    )
    from motionfit.benchmarks.report.collect import collect
    from motionfit.benchmarks.report.draw import draw_report
    from motionfit.benchmarks.report.headline import headline as first_sentences
    from motionfit.benchmarks.report.merge import read_other
    from motionfit.benchmarks.report.options import Options, trained_networks
    from motionfit.benchmarks.report.parts import in_turns, missing
    from motionfit.benchmarks.report.plan import PREPARATION, cells
    from motionfit.benchmarks.report.result import write_report
    from motionfit.benchmarks.report.runner import run_parts
    from motionfit.benchmarks.result import shown_command

    begun = read_begun(output)
    options = Options(
        videos=tuple(str(video.resolve()) for video in videos or ()),
        runs=str(runs.resolve()) if runs else None,
        data=str(data.resolve()) if data else None,
        networks=begun.options.networks if begun else trained_networks(runs) if runs else {},
        threads=threads or len(os.sched_getaffinity(0)),
        num_clips=clips,
        seed=seed,
        quick=quick,
        headline=headline,
    )
    others = [read_other(path) for path in also or ()]
    if begun is None:
        begin(options, output)
    else:
        refuse_other_options(begun, options, folder=output)
    todo = in_turns(cells(options))
    if prepare:
        todo = tuple(part for part in todo if part[0].kind in PREPARATION)
    if begun and missing(output, todo):
        refuse_other_run(begun, folder=output)
    failed = run_parts(output, todo, console=stderr)
    report = collect(output, options, command=shown_command(sys.argv[1:]))
    write_report(report, output / REPORT)
    if prepare:
        _raise_for(failed)
        stderr.print("prepared: the same command without --prepare measures the rest")
        return
    draw_report(report, others, output)
    show([], first_sentences(report))
    stderr.print(f"wrote {output}/report.html", markup=False)
    _raise_for(failed)


def _raise_for(failed: "tuple[Failed, ...]") -> None:
    from motionfit.benchmarks.result import ResultError

    if failed:
        raise ResultError(
            f"{len(failed)} parts failed: "
            + "; ".join(f"{one.name}: {one.words}" for one in failed)
        )


def report_draw_command(
    report: Annotated[Path, typer.Argument(metavar="REPORT.json", exists=True, dir_okay=False)],
    output: Folder,
    also: Others = None,
) -> None:
    """Draw a report again from its file, with results of other machines."""
    require_extra("train", "jinja2", "matplotlib")
    from motionfit.benchmarks.report.draw import draw_report
    from motionfit.benchmarks.report.merge import read_other
    from motionfit.benchmarks.report.result import read_report

    others = [read_other(path) for path in also or ()]
    draw_report(read_report(report), others, output)
    stderr.print(f"wrote {output}/report.html", markup=False)
