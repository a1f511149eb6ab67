"""``motionfit-bench experiment`` and ``experiment-report``."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from motionfit.inference.console import stderr
from motionfit.inference.errors import require_extra

WATCH = "motionfit.benchmarks.experiment_watch"
TRUTH = "motionfit.benchmarks.experiment_truth"
REPORT = "report.md"
PROGRAMS = {
    "train": (sys.executable, "-m", "motionfit.training.cli"),
    "watch": (sys.executable, "-m", WATCH),
    "truth": (sys.executable, "-m", TRUTH),
}


def experiment_command(
    runs: Annotated[
        Path, typer.Argument(metavar="RUNS", help="Folder of all trainings; may be begun.")
    ],
    data: Annotated[
        Path,
        typer.Option(exists=True, help="Data set whose column group is as in UCF101."),
    ],
    cross_domain: Annotated[
        Path | None,
        typer.Option(
            metavar="SOURCE",
            exists=True,
            help="Videos of other things, a folder or a CSV: adds the arm cross-domain.",
        ),
    ] = None,
    on: Annotated[
        Literal["test", "validation"],
        typer.Option(help="Videos to measure on; choices are made on validation."),
    ] = "test",
    jobs: Annotated[
        int, typer.Option(min=1, help="Trainings at once, each on a core of its own.")
    ] = 2,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Stop running jobs after so long; they go on next time."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Only arms and what they need, as 'split2-seed0-*' or '*/mars'. Repeatable.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE.json", dir_okay=False, help="Write the results here."
        ),
    ] = None,
) -> None:
    """Train and measure MotionFit beside its controls: few labels, many unlabelled videos.

    Every training is a job that is done once: run the command again to go on after any kind of end.
    With -o, what is done by then is written, with figures and intervals.
    """
    require_extra("train", "accelerate", "matplotlib", "safetensors", "torch", "torchvision")
    from motionfit.benchmarks.experiment_collect import Experiment, collect
    from motionfit.benchmarks.experiment_protocol import PROTOCOL
    from motionfit.benchmarks.experiment_result import write_experiment
    from motionfit.benchmarks.experiment_runner import ExperimentError, run_jobs
    from motionfit.benchmarks.result import shown_command

    experiment = Experiment(
        runs=runs.resolve(),
        data=data.resolve(),
        protocol=PROTOCOL,
        on=on,
        cross_domain=cross_domain and cross_domain.resolve(),
    )
    outcome = run_jobs(
        experiment.jobs(only or ["*"]),
        runs=experiment.runs,
        programs=PROGRAMS,
        at_once=jobs,
        minutes=minutes,
        console=stderr,
    )
    if output is not None:
        write_experiment(collect(experiment, command=shown_command(sys.argv[1:])), output)
        stderr.print(f"wrote {output}", markup=False)
    if outcome.failed:
        raise ExperimentError(
            f"{len(outcome.failed)} jobs failed: "
            + "; ".join(f"{job.name}: {words}" for job, words in outcome.failed)
        )
    if outcome.left:
        stderr.print(f"{len(outcome.left)} jobs are left: run the command again to go on")
    if outcome.stopped:
        raise KeyboardInterrupt


def experiment_report_command(
    results: Annotated[Path, typer.Argument(metavar="RESULTS.json", exists=True, dir_okay=False)],
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder of the report.")
    ],
) -> None:
    """Draw tables and pictures from the results of an experiment."""
    require_extra("train", "matplotlib")
    from motionfit.benchmarks.experiment_plots import draw_arms, draw_curve
    from motionfit.benchmarks.experiment_result import read_experiment
    from motionfit.benchmarks.experiment_text import markdown, primary_sentence
    from motionfit.training.whole_files import written_whole

    result = read_experiment(results)
    output.mkdir(parents=True, exist_ok=True)
    pictures = (
        ("Accuracy of each arm, and differences", "arms.png", draw_arms),
        ("Accuracy against the number of labelled groups", "curve.png", draw_curve),
    )
    for _, file, draw in pictures:
        with written_whole(output / file) as unfinished:
            draw(result, unfinished)
    with written_whole(output / REPORT) as unfinished:
        text = markdown(result, pictures=[(title, file) for title, file, _ in pictures])
        unfinished.write_text(text, encoding="utf-8")
    Console(highlight=False).print(primary_sentence(result), markup=False, soft_wrap=True)
    stderr.print(f"wrote {output / REPORT}", markup=False)
