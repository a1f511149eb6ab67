"""Many clients: how much a server gets done when it always has work, and when it has too much."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from motionfit.benchmarks.asked_alone import Endpoint, Known, load_plan
from motionfit.benchmarks.bare_pipeline import BarePipeline
from motionfit.benchmarks.generator import all_requests
from motionfit.benchmarks.load_plan import CLOSED, MOST_UNDER_WAY, POISSON, LoadPlan, Sent
from motionfit.benchmarks.load_step import Step, fate_of
from motionfit.benchmarks.open_loop import schedule
from motionfit.benchmarks.result import Figure, ResultError, TimedCase

SATURATION, OVERLOAD = "saturation", "overload"
SERVER, PYTHON = f"{SATURATION}/server", f"{SATURATION}/python"
SETTLE_SECONDS = 0.2
REFUSED_AT_ONCE = {"overloaded", "rate-limited"}


@dataclass(frozen=True, kw_only=True)
class Saturation:
    """The server and the pipeline in Python, each kept busy."""

    server: TimedCase
    """Milliseconds a video; a sample is the mean of a round."""
    python: TimedCase
    sent: tuple[Sent, ...]
    """The requests of all rounds."""
    client_cores: float
    """What the clients took of the same cores."""


def measure_saturation(
    endpoint: Endpoint,
    known: Known,
    pipeline: BarePipeline,
    *,
    clients: int,
    rounds: int,
    videos_a_round: int,
    seed: int,
    after_round: Callable[[], None],
) -> Saturation:
    """Let the server, asked by ``clients`` at once, and the pipeline take turns at equal videos.

    Raises ResultError when the server does not answer at all.
    """
    server_ms, python_ms, sent = [], [], list[Sent]()
    cpu_seconds = server_seconds = 0.0
    order = random.Random(seed)
    for number in range(rounds):
        plan = load_plan(
            endpoint,
            known,
            arrivals=CLOSED,
            requests=videos_a_round,
            clients=clients,
            seed=seed + number,
        )
        for name in order.sample([SERVER, PYTHON], 2):
            time.sleep(SETTLE_SECONDS)
            if name == SERVER:
                requests, cpu = all_requests(plan)
                server_ms.append(_ms_per_answer(requests))
                server_seconds += _span(requests)
                sent += requests
                cpu_seconds += cpu
            else:
                python_ms.append(_pipeline_seconds(pipeline, plan) * 1000 / videos_a_round)
        after_round()
    return Saturation(
        server=TimedCase.of(SERVER, server_ms, seed=seed),
        python=TimedCase.of(PYTHON, python_ms, seed=seed),
        sent=tuple(sent),
        client_cores=cpu_seconds / server_seconds,
    )


def measure_overload(
    endpoint: Endpoint, known: Known, *, rate: float, seconds: float, seed: int
) -> Step:
    """Ask ``rate`` times a second, which is more than the server can answer."""
    plan = load_plan(
        endpoint,
        known,
        arrivals=POISSON,
        requests=max(2, round(rate * seconds)),
        rate=rate,
        clients=MOST_UNDER_WAY,
        seed=seed,
    )
    sent, cpu_seconds = all_requests(plan)
    return Step(
        name=OVERLOAD,
        rate=rate,
        sent=tuple(sorted(sent, key=lambda one: one.scheduled_s)),
        whole=True,
        idle_seconds=known.idle_seconds,
        cpu_seconds=cpu_seconds,
    )


def accepted(step: Step) -> list[Sent]:
    """The requests that were not refused at once, whatever became of them."""
    return [one for one in step.sent if one.code not in REFUSED_AT_ONCE]


def share_in_time(requests: Sequence[Sent], *, deadline_seconds: float) -> float | None:
    """The share that got the right answer within the deadline, which begins with the last byte
    sent; None when there is no request.
    """
    in_time = [
        one
        for one in requests
        if fate_of(one) == "answered" and one.after_last_byte_ms <= deadline_seconds * 1000
    ]
    return len(in_time) / len(requests) if requests else None


def overload_figures(step: Step, *, deadline_seconds: float) -> list[Figure]:
    """What was offered, what became of it, and how many requests were accepted."""
    count = len(accepted(step))
    return [
        Figure(name=f"{OVERLOAD}/offered-per-second", unit="1/s", value=round(step.rate, 4)),
        *step.figures(),
        Figure(name=f"{OVERLOAD}/accepted", unit="requests", value=count),
        Figure(name=f"{OVERLOAD}/deadline", unit="s", value=deadline_seconds),
    ]


def _ms_per_answer(requests: Sequence[Sent]) -> float:
    answered = sum(fate_of(one) == "answered" for one in requests)
    if not answered:
        raise ResultError(f"the busy server gave no right answer: {requests[-1].error}")
    return _span(requests) * 1000 / answered


def _span(requests: Sequence[Sent]) -> float:
    return max(one.answered_s or 0.0 for one in requests)


def _pipeline_seconds(pipeline: BarePipeline, plan: LoadPlan) -> float:
    videos = [Path(plan.videos[number].path) for _, number in schedule(plan)]
    begin = time.perf_counter()
    pipeline.run(videos)
    return time.perf_counter() - begin
