"""From parts to what systems get done, and how long it takes when they are asked at random."""

from collections.abc import Sequence

from motionfit.benchmarks.estimates import too_few
from motionfit.benchmarks.report.result import ScenarioFigures
from motionfit.benchmarks.report.samples import Samples, by_cell, figures, setting
from motionfit.benchmarks.report.scenarios import CAPACITY
from motionfit.benchmarks.report.statistics import median, pooled, quantile
from motionfit.benchmarks.result import Result
from motionfit.training.json_record import Estimate
from motionfit.training.resampling import rounded

SEED = 0
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def scenario_figures(parts: Sequence[Result]) -> tuple[ScenarioFigures, ...]:
    """Offline first, then each rate of the server."""
    return (
        *(_offline(cell, name) for cell in by_cell(parts, kind="offline") for name in cell.cases),
        *(_server(cell, name) for cell in by_cell(parts, kind="server") for name in cell.cases),
    )


def _offline(cell: Samples, name: str) -> ScenarioFigures:
    samples = cell.of(name)
    videos = setting(cell.parts, "videos") or 0
    ms = median(samples, seed=SEED)
    return ScenarioFigures(
        scenario="offline",
        system=name,
        at=None,
        per_second=None
        if ms is None
        else Estimate(
            value=rounded(1000 * videos / ms.value),
            low=rounded(1000 * videos / ms.high),
            high=rounded(1000 * videos / ms.low),
        ),
        p50_ms=None,
        p95_ms=None,
        p99_ms=None,
        refused={},
        n=len(pooled(samples)),
    )


def _server(cell: Samples, case: str) -> ScenarioFigures:
    share, _, system = case.partition("/")
    samples = cell.of(case)
    n = len(pooled(samples))
    capacities = figures(cell.parts, f"{system}/{CAPACITY}")
    found = {name: quantile(samples, share=one) for name, one in SHARES.items()}
    reasons = {name: too_few(n, share=one) for name, one in SHARES.items()}
    return ScenarioFigures(
        scenario="server",
        system=system,
        at=rounded(float(share) * sum(capacities) / len(capacities)),
        per_second=None,
        p50_ms=found["p50"],
        p95_ms=found["p95"],
        p99_ms=found["p99"],
        refused={name: reason for name, reason in reasons.items() if reason},
        n=n,
    )
