"""Runs an experiment with fake trainings: the process that the tests kill."""

import sys
from pathlib import Path

from rich.console import Console

from motionfit.benchmarks.experiment.collect import Experiment, collect
from motionfit.benchmarks.experiment.protocol import PROTOCOL
from motionfit.benchmarks.experiment.result import write_experiment
from motionfit.benchmarks.experiment.runner import run_jobs

FAKE = (sys.executable, str(Path(__file__).with_name("fake_training.py")))
SMALL = PROTOCOL.model_copy(update={"seeds": (0,), "curve": (1,)})


def experiment(runs: Path) -> Experiment:
    return Experiment(runs=runs, data=Path("/videos"), protocol=SMALL, on="test")


PROGRAMS = dict.fromkeys(("train", "watch", "truth", "sources"), FAKE)


if __name__ == "__main__":
    folder, minutes, *patterns = sys.argv[1:]
    here = experiment(Path(folder))
    outcome = run_jobs(
        here.jobs(patterns),
        runs=here.runs,
        programs=PROGRAMS,
        at_once=2,
        minutes=float(minutes),
        console=Console(),
    )
    print(f"failed: {[job.name for job, _ in outcome.failed]}")
    print(f"left: {len(outcome.left)}")
    if len(outcome.done) > 0 and "*" in patterns:
        write_experiment(
            collect(here, entries=here.entries(), command="experiment"), here.runs / "results.json"
        )
