"""Load test of a running server: rates in steps, up to the one at which it no longer keeps up."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import log, sqrt

from motionfit.benchmarks.asked_alone import Endpoint, Known, load_plan
from motionfit.benchmarks.generator import LoadGenerator
from motionfit.benchmarks.load_plan import MOST_UNDER_WAY, Arrivals, LoadPlan, Sent
from motionfit.benchmarks.load_step import KEPT_DRAIN, KEPT_SHARE, Step
from motionfit.benchmarks.result import Figure, Result
from motionfit.benchmarks.session import Session

KIND = "load"
GROWTH = 2.0
"""From step to step, until the server no longer keeps up."""
NEAR = 1.1
"""How near the knee is found: from the highest rate kept to the lowest that is not."""
LOWEST_RATE, HIGHEST_RATE = 0.01, 5000.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to load a server."""

    rates: tuple[float, ...]
    """Requests per second; empty to look for the knee."""
    first_rate: float
    """Where to begin looking."""
    seconds: float
    """Of each step."""
    arrivals: Arrivals
    seed: int


class LoadTest:
    """Steps done so far, also when Ctrl-C stopped one."""

    def __init__(self, endpoint: Endpoint, known: Known, plan: Plan) -> None:
        self.endpoint, self.known, self.plan = endpoint, known, plan
        self.steps: list[Step] = []

    def requests_at(self, rate: float) -> int:
        """How many requests a step at ``rate`` makes."""
        return max(2, round(rate * self.plan.seconds))

    def measure(self, rate: float, *, after_request: Callable[[], None]) -> Step:
        """Do a step. When it is stopped, what there is of it stands in ``steps``."""
        generator = LoadGenerator(self._plan_at(rate))
        sent: list[Sent] = []
        whole = False
        try:
            with closing(generator.requests()) as requests:
                for one in requests:
                    sent.append(one)
                    after_request()
            whole = True
        finally:
            if sent:
                step = Step(
                    name=f"rate-{rate:.4g}",
                    rate=rate,
                    sent=tuple(sorted(sent, key=lambda one: one.scheduled_s)),
                    whole=whole,
                    idle_seconds=self.known.idle_seconds,
                    cpu_seconds=generator.cpu_seconds,
                )
                self.steps.append(step)
        return step

    def _plan_at(self, rate: float) -> LoadPlan:
        return load_plan(
            self.endpoint,
            self.known,
            arrivals=self.plan.arrivals,
            requests=self.requests_at(rate),
            rate=rate,
            clients=MOST_UNDER_WAY,
            seed=self.plan.seed + len(self.steps),
        )


def next_rate(steps: Sequence[Step], plan: Plan) -> float | None:
    """The rate to measure after ``steps``; None when all is known that was asked for."""
    if plan.rates:
        return next(iter(plan.rates[len(steps) :]), None)
    if not steps:
        return plan.first_rate
    kept, lost = knee(steps)
    if lost is None:
        rate = steps[-1].rate * GROWTH
    elif kept is None:
        rate = lost / GROWTH
    elif log(lost / kept) > log(NEAR):
        rate = float(f"{sqrt(kept * lost):.3g}")
    else:
        return None
    return rate if LOWEST_RATE <= rate <= HIGHEST_RATE else None


def knee(steps: Sequence[Step]) -> tuple[float | None, float | None]:
    """The highest rate that was kept up with, under the lowest that was not; and that one.

    Steps that were stopped say nothing.
    """
    whole = [step for step in steps if step.whole]
    lost = min((step.rate for step in whole if not step.keeps_up), default=None)
    kept = [step.rate for step in whole if step.keeps_up and (lost is None or step.rate < lost)]
    return max(kept, default=None), lost


def load_result(test: LoadTest, *, session: Session) -> Result:
    """A result of kind ``load``: cases and figures of each step, and the knee."""
    plan, steps = test.plan, test.steps
    bounds = zip(("knee/kept", "knee/not-kept"), knee(steps), strict=True)
    return session.finish(
        kind=KIND,
        settings={
            "path": test.endpoint.path,
            "arrivals": plan.arrivals,
            "seconds": plan.seconds,
            "timeout_seconds": test.endpoint.timeout_seconds,
            "kept_share": KEPT_SHARE,
            "kept_drain": KEPT_DRAIN,
            "stopped": any(not step.whole for step in steps),
        },
        bundle=None,
        model=test.known.model,
        videos=test.known.records,
        cases=[case for step in steps for case in step.cases(seed=plan.seed)],
        figures=[
            *(figure for step in steps for figure in step.figures()),
            *(Figure(name=name, unit="1/s", value=rate) for name, rate in bounds if rate),
        ],
        faults=[fault for step in steps for fault in step.faults(videos=test.known.names)],
    )
