"""``motionfit-train probe``: a linear classifier on what a network sees."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from motionfit.inference.console import show, stderr
from motionfit.inference.errors import require_extra
from motionfit.training.report_command import (
    Clips,
    Labelled,
    Lists,
    Run,
    Where,
    check_new,
)


def probe_command(
    run: Run,
    labelled: Labelled,
    train: Annotated[
        list[str] | None,
        typer.Option(
            help="Videos to fit the classifier to, as column=value[,value]; several must all hold. "
            "The column used says what the run did with a video: training, held_out or not.",
            show_default="used=training",
        ),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(
            help="Videos to test it on, in the same form.",
            show_default="used=held_out",
        ),
    ] = None,
    lists: Lists = None,
    where: Where = None,
    clips: Clips = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for probe.json and probe.md; new or empty.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds and of the intervals.")] = 0,
) -> None:
    """Report the accuracy of a linear classifier on the embeddings of a frozen network.

    A video is the mean over its clips of the network's embedding. The strength of the classifier's
    penalty is chosen on held-out groups of the training videos, never on the test videos.
    """
    check_new(output)
    require_extra("train", "safetensors", "sklearn", "torch", "torchvision")
    from motionfit.training.embedded_parts import OF_HELD_OUT, OF_TRAINING, PartsOptions
    from motionfit.training.manifest import parse_filter
    from motionfit.training.probe_report import notes, probe_report, sections, write_probe
    from motionfit.training.provenance import command_line
    from motionfit.training.tables import table_of

    options = PartsOptions(
        run=run,
        labelled=labelled,
        lists=lists,
        where=tuple(parse_filter(text) for text in where or ()),
        reference=tuple(parse_filter(text) for text in train or [OF_TRAINING]),
        test=tuple(parse_filter(text) for text in test or [OF_HELD_OUT]),
        clips=clips,
        seed=seed,
        command=command_line(["motionfit-train", *sys.argv[1:]]),
    )
    report = probe_report(options, console=stderr)
    show([table_of(sections(report))], notes(report))
    if output is not None:
        write_probe(report, output)
        stderr.print(f"wrote {output}", markup=False)
