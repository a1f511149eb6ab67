"""One measurement of engines, from loading them to the file: what both commands do."""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from motionfit.benchmarks.command import progress
from motionfit.benchmarks.engines import Plan, Suite, contest, engines_result
from motionfit.benchmarks.engines_table import engines_notes, engines_table
from motionfit.benchmarks.result import shown_command, write_result
from motionfit.benchmarks.session import Session
from motionfit.inference.console import show, stderr


def run_suite(made_in: Callable[..., Suite], plan: Plan, *, output: Path | None) -> None:
    """Measure, show, and write the result to ``output``.

    ``made_in`` makes the suite, given a ``folder`` that is there until all is measured.
    """
    with TemporaryDirectory() as folder:
        suite = made_in(folder=Path(folder))
        stderr.print("proving that the engines give equal logits; compiling takes minutes")
        ready = contest(suite, batches=plan.batches)
        session = Session.start(command=shown_command(sys.argv[1:]), seed=plan.seed)
        with progress("rounds", total=plan.rounds + plan.warmup_rounds) as advance:
            result = engines_result(ready, plan, session=session, after_round=advance)
    show([engines_table(result)], engines_notes(result))
    if output:
        write_result(result, output)
