"""How long until the first answer, and how much memory at most: one system a process."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from motionfit.benchmarks.report.cold_child import ColdAnswer, ColdNetwork, ColdPlan
from motionfit.benchmarks.report.engines import Loader
from motionfit.benchmarks.report.networks import Network, networks_of
from motionfit.benchmarks.report.open import opener
from motionfit.benchmarks.report.plan import ONCE
from motionfit.benchmarks.report.systems import EngineName, System
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.result import Excluded, Figure, Result, ResultError, TimedCase
from motionfit.inference.errors import MotionfitError

CHILD = "motionfit.benchmarks.report.cold_child"
COLD_START = "cold-start"
PEAK = "peak-memory"
VIDEOS = 3


def cold_part(work: Work) -> Result:
    """Start each system: a result of kind ``report-cold``.

    The case ``SYSTEM/cold-start`` goes from the start of a Python process to its first answer;
    files come from the system's cache. The peak is all that the process takes, libraries and all;
    the median of the starts. Those of ``ONCE`` are started once, the others in every round.
    """
    plans, excluded = _plans(work)
    starts: dict[str, list[tuple[float, ColdAnswer]]] = {name: [] for name in plans}
    order = random.Random(work.seed)
    for number in range(work.cell.rounds):
        turn = [name for name in starts if number == 0 or name not in ONCE]
        for name in order.sample(turn, len(turn)):
            try:
                starts[name].append(start_cold(plans[name]))
            except ResultError as error:
                del starts[name]
                excluded.append(Excluded(name=name, reason=str(error)))
    return work.finish(
        settings={},
        excluded=tuple(excluded),
        figures=tuple(
            Figure(
                name=f"{name}/{PEAK}",
                unit="bytes",
                value=median(answer["peak_bytes"] for _, answer in own),
            )
            for name, own in starts.items()
        ),
        cases=tuple(
            TimedCase.of(f"{name}/{COLD_START}", [ms for ms, _ in own], seed=work.seed)
            for name, own in starts.items()
        ),
    )


def _plans(work: Work) -> tuple[dict[str, ColdPlan], list[Excluded]]:
    """The systems that can be started, and the others with the reason."""
    plans: dict[str, ColdPlan] = {}
    excluded: list[Excluded] = []
    for system in work.cell.systems:
        try:
            plans[system.name] = cold_plan(work, system)
        except MotionfitError as error:
            excluded.append(Excluded(name=system.name, reason=str(error)))
    return plans, excluded


def cold_plan(work: Work, system: System) -> ColdPlan:
    """What a bare process needs to be this system; its files are written if they are not there.

    Raises a MotionfitError for a network that was not trained.
    """
    options = work.options
    cell = options.timed_cell()
    rgb, flow = networks_of(system, cell)
    flow_spec = flow.checkpoint.flow if flow else None
    with opener(options, work.folder, cell=cell) as found:
        own = [_cold(one, system.engine, loader=found.loader) for one in (rgb, flow)]
    return {
        "engine": system.engine,
        "threads": options.threads,
        "clips": options.num_clips,
        "rgb": own[0],
        "flow": own[1],
        "flow_spec": flow_spec.to_json() if flow_spec else {},
        "algorithm": system.algorithm,
        "videos": _paths(work.videos[:VIDEOS]),
    }


def start_cold(plan: ColdPlan) -> tuple[float, ColdAnswer]:
    """Milliseconds from the start of a process to its first answer, and what it says."""
    begun = time.monotonic_ns()
    done = subprocess.run(
        [sys.executable, "-m", CHILD, json.dumps(plan)], capture_output=True, text=True
    )
    if done.returncode:
        raise ResultError(f"the cold process failed: {done.stderr[-400:]}")
    answer: ColdAnswer = json.loads(done.stdout)
    return (answer["first_answer_ns"] - begun) / 1e6, answer


def _cold(network: Network | None, engine: EngineName, *, loader: Loader) -> ColdNetwork | None:
    if network is None:
        return None
    file = loader.source(network, engine)
    return {"file": str(file), "spec": network.checkpoint.spec.to_json()}


def _paths(videos: Sequence[Path]) -> list[str]:
    return [str(path) for path in videos]
