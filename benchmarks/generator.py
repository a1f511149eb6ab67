"""Runs the process that makes load, and hears from it."""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict

from motionfit.benchmarks.load_plan import LoadPlan, Sent
from motionfit.benchmarks.result import ResultError

_FIELDS = tuple(Sent.__dataclass_fields__)


class LoadGenerator:
    """The requests of a plan, made by a process of its own."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self.cpu_seconds: float | None = None
        """What making the requests took of the machine; None until all are made."""

    def requests(self) -> Generator[Sent, None, None]:
        """Each request once it ended. Raises ResultError when the process fails.

        The process is ended when the iterator is closed, or left by Ctrl-C.
        """
        # In a session of its own, so that Ctrl-C ends it through us, after its last words.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "motionfit.benchmarks.open_loop"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(asdict(self.plan)))
                process.stdin.close()
                for line in process.stdout:
                    values = json.loads(line)
                    if isinstance(values, dict):
                        self.cpu_seconds = values["cpu_seconds"]
                    else:
                        yield Sent(**dict(zip(_FIELDS, values, strict=True)))
            finally:
                process.kill()
        if self.cpu_seconds is None:
            raise ResultError("the process that makes load failed; see above for why")


def all_requests(plan: LoadPlan) -> tuple[list[Sent], float]:
    """Every request of a plan, and the CPU seconds that making them took."""
    generator = LoadGenerator(plan)
    with closing(generator.requests()) as requests:
        sent = list(requests)
    assert generator.cpu_seconds is not None
    return sent, generator.cpu_seconds
