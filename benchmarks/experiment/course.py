"""What the experiment's commands do: run jobs, write results, say what failed and what is left."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from motionfit.benchmarks.experiment.collect import Experiment, collect
from motionfit.benchmarks.experiment.graph import Job
from motionfit.benchmarks.experiment.protocol import Entry, precision_of
from motionfit.benchmarks.experiment.result import ExperimentResult, write_experiment
from motionfit.benchmarks.experiment.runner import ExperimentError, Outcome, run_jobs
from motionfit.benchmarks.experiment.spent import left
from motionfit.benchmarks.result import shown_command
from motionfit.inference.console import stderr
from motionfit.training.loop import SLOW_BF16, is_slow_in

_MODULE = "motionfit.benchmarks.experiment."
PROGRAMS = {
    "train": (sys.executable, "-m", "motionfit.training.cli"),
    "watch": (sys.executable, "-m", f"{_MODULE}watch"),
    "truth": (sys.executable, "-m", f"{_MODULE}truth"),
    "sources": (sys.executable, "-m", f"{_MODULE}sources"),
}


def run_chosen(
    experiment: Experiment, jobs: Sequence[Job], *, at_once: int, minutes: float | None
) -> Outcome:
    """Run the jobs that are not done, after a warning where all would be slow."""
    if is_slow_in(precision_of(experiment.protocol)):
        stderr.print(f"warning: {SLOW_BF16} with --precision fp32", markup=False)
    return run_jobs(
        jobs,
        runs=experiment.runs,
        programs=PROGRAMS,
        at_once=at_once,
        minutes=minutes,
        console=stderr,
    )


def write_results(
    experiment: Experiment, entries: Sequence[Entry], output: Path
) -> ExperimentResult:
    """Write what is done of ``entries``, and say how long each arm took."""
    result = collect(experiment, entries=entries, command=shown_command(sys.argv[1:]))
    write_experiment(result, output)
    for one in result.spent_by_arm:
        stderr.print(f"{one.name}: {one.minutes:.1f} core minutes a cell", highlight=False)
    stderr.print(f"wrote {output}", markup=False)
    return result


def say_outcome(outcome: Outcome) -> None:
    """Say what is left. Raises ExperimentError when jobs failed, KeyboardInterrupt when stopped."""
    if outcome.failed:
        raise ExperimentError(
            f"{len(outcome.failed)} jobs failed: "
            + "; ".join(f"{job.name}: {words}" for job, words in outcome.failed)
        )
    if outcome.left:
        stderr.print(f"{len(outcome.left)} jobs are left: run the command again to go on")
    if outcome.stopped:
        raise KeyboardInterrupt


def left_table(experiment: Experiment, jobs: Sequence[Job]) -> Table:
    """The jobs that are not done, and about how long they take by those of all arms that are."""
    stages = left(jobs, alike=experiment.jobs(["*"]), runs=experiment.runs)
    table = Table("stage", "jobs left", "core minutes, about")
    for one in stages:
        table.add_row(one.stage, str(one.jobs), _minutes(one.minutes))
    known = [one.minutes for one in stages if one.minutes is not None]
    more = " and more" if known and len(known) < len(stages) else ""
    total = _minutes(sum(known) if known or not stages else None) + more
    table.add_row("all", str(sum(one.jobs for one in stages)), total)
    return table


def _minutes(minutes: float | None) -> str:
    return "not known yet" if minutes is None else f"{minutes:.0f}"
