"""``motionfit-bench experiment`` and what is done with its results."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from motionfit.benchmarks.command import Output, RequiredOutput
from motionfit.benchmarks.result import shown_command
from motionfit.inference.console import stderr
from motionfit.inference.errors import require_extra

REPORT = "report.md"

Runs = Annotated[
    Path, typer.Argument(metavar="RUNS", help="Folder of all trainings; may be begun.")
]
Labelled = Annotated[
    Path, typer.Option(exists=True, help="Data set whose column group is as in UCF101.")
]
AtOnce = Annotated[int, typer.Option(min=1, help="Trainings at once, each on a core of its own.")]
Precision = Annotated[
    Literal["bf16", "fp32"],
    typer.Option(
        help="Of all trainings; the protocol's is bf16, and results say which. A folder RUNS keeps "
        "to one."
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(min=0, help="Stop running jobs after so long; they go on next time."),
]


def experiment_command(
    runs: Runs,
    data: Labelled,
    protocol: Annotated[
        Literal["ucf101", "weizmann"],
        typer.Option(
            help="Groups of --data are those of UCF101; or its nine persons, and the source of all "
            "pseudo-labels is --cross-domain."
        ),
    ] = "ucf101",
    cross_domain: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="SOURCE",
            exists=True,
            help="Videos of other things, a folder or a CSV: adds the arm cross-domain. Of several "
            "the videos are taken together. Repeatable.",
        ),
    ] = None,
    on: Annotated[
        Literal["test", "validation"],
        typer.Option(help="Videos to measure on; choices are made on validation."),
    ] = "test",
    jobs: AtOnce = 2,
    precision: Precision = "bf16",
    minutes: Minutes = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Only arms and what they need, as 'split2-seed0-*' or '*/mars'. Repeatable.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is left, and about how long it takes.")
    ] = False,
    output: Output = None,
) -> None:
    """Train and measure MotionFit beside its controls: few labels, many unlabelled videos.

    Every training is a job that is done once: run the command again to go on after any kind of end.
    With -o, what is done by then is written, with figures and intervals.
    """
    _require()
    from motionfit.benchmarks.experiment.collect import Experiment
    from motionfit.benchmarks.experiment.course import (
        left_table,
        run_chosen,
        say_outcome,
        write_results,
    )
    from motionfit.benchmarks.experiment.protocol import PROTOCOL, in_precision
    from motionfit.benchmarks.experiment.weizmann import WEIZMANN

    experiment = Experiment(
        runs=runs.resolve(),
        data=data.resolve(),
        protocol=in_precision(WEIZMANN if protocol == "weizmann" else PROTOCOL, precision),
        on=on,
        cross_domain=tuple(source.resolve() for source in cross_domain or ()),
    )
    chosen = experiment.jobs(only or ["*"])
    if dry_run:
        Console().print(left_table(experiment, chosen))
        return
    outcome = run_chosen(experiment, chosen, at_once=jobs, minutes=minutes)
    try:
        if output is not None:
            write_results(experiment, experiment.entries(), output)
    finally:  # why nothing is measured counts before that nothing is
        say_outcome(outcome)


def experiment_schedule_command(
    runs: Runs,
    data: Labelled,
    output: RequiredOutput,
    jobs: AtOnce = 2,
    precision: Precision = "bf16",
    minutes: Minutes = None,
) -> None:
    """Choose random initialisation's own schedule, by the protocol's rule, on validation videos.

    Trains and measures what the rule looks at and nothing else, and says what it chooses.
    """
    _require()
    from motionfit.benchmarks.experiment.collect import Experiment
    from motionfit.benchmarks.experiment.course import run_chosen, say_outcome, write_results
    from motionfit.benchmarks.experiment.protocol import PROTOCOL, in_precision
    from motionfit.benchmarks.experiment.schedule import chosen_schedule, schedule_entries

    experiment = Experiment(
        runs=runs.resolve(),
        data=data.resolve(),
        protocol=in_precision(PROTOCOL, precision),
        on="validation",
    )
    entries = schedule_entries(experiment.protocol)
    wanted = experiment.jobs([entry.name for entry in entries])
    outcome = run_chosen(experiment, wanted, at_once=jobs, minutes=minutes)
    try:
        chosen = chosen_schedule(write_results(experiment, entries, output))
        said = (
            "not all schedules are measured yet"
            if chosen is None
            else f"chosen: {chosen} clips. The protocol has the arm random-own-schedule once they "
            "are its own_schedule_clips (benchmarks/experiment/protocol.py)"
        )
        Console(highlight=False).print(said)
    finally:  # why nothing is measured counts before that nothing is
        say_outcome(outcome)


def _require() -> None:
    require_extra("train", "accelerate", "matplotlib", "safetensors", "torch", "torchvision")


def experiment_join_command(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS.json...", exists=True, dir_okay=False, help="Written by `experiment`."
        ),
    ],
    output: RequiredOutput,
) -> None:
    """Join results of one experiment that were trained in several folders, or on several machines.

    Figures and intervals are those of all cells together. Of one file they are computed anew.
    """
    if output.resolve() in {path.resolve() for path in results}:
        raise typer.BadParameter(f"{output} is one of the files to join: give another name")
    from motionfit.benchmarks.experiment.join import joined
    from motionfit.benchmarks.experiment.result import read_experiment, write_experiment

    read = {path: read_experiment(path) for path in results}
    write_experiment(joined(read, command=shown_command(sys.argv[1:])), output)
    stderr.print(f"wrote {output}", markup=False)


def experiment_report_command(
    results: Annotated[Path, typer.Argument(metavar="RESULTS.json", exists=True, dir_okay=False)],
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder of the report.")
    ],
) -> None:
    """Draw tables and pictures from the results of an experiment."""
    require_extra("train", "matplotlib")
    from motionfit.benchmarks.experiment.plots import draw_arms, draw_curve
    from motionfit.benchmarks.experiment.result import read_experiment
    from motionfit.benchmarks.experiment.text import markdown, primary_sentence
    from motionfit.training.whole_files import written_whole

    result = read_experiment(results)
    output.mkdir(parents=True, exist_ok=True)
    pictures = [("Accuracy of each arm, and differences", "arms.png", draw_arms)]
    if len({one.labelled_groups for one in result.summaries}) > 1:
        curve = ("Accuracy against the number of labelled groups", "curve.png", draw_curve)
        pictures.append(curve)
    for _, file, draw in pictures:
        with written_whole(output / file) as unfinished:
            draw(result, unfinished)
    with written_whole(output / REPORT) as unfinished:
        text = markdown(result, pictures=[(title, file) for title, file, _ in pictures])
        unfinished.write_text(text, encoding="utf-8")
    Console(highlight=False).print(primary_sentence(result), markup=False, soft_wrap=True)
    stderr.print(f"wrote {output / REPORT}", markup=False)
