"""What a server costs on top of decoding and the model, and what it does when it is asked too much.

All on this machine, over loopback: clients and server share its cores.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from motionfit.benchmarks.asked_alone import Endpoint, Known, ask_alone
from motionfit.benchmarks.bare_pipeline import BarePipeline, open_pipeline
from motionfit.benchmarks.load_step import Step
from motionfit.benchmarks.result import TimedCase
from motionfit.benchmarks.serve_alone import Alone, measure_alone, require_equal
from motionfit.benchmarks.serve_load import Saturation, measure_overload, measure_saturation
from motionfit.benchmarks.server_process import running_server
from motionfit.benchmarks.watch import Watch
from motionfit.inference.bundle import Bundle
from motionfit.inference.runner import Backend

START = "start/ready"
CLIENTS_PER_DECODER = 4
OVERLOAD_FACTOR = 2.0
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure, and how long."""

    bundle: str | None
    """Its folder; None for the embedded student."""
    videos: tuple[Path, ...]
    backend: Backend
    threads: int | None
    """CPU threads of the runtime, in the server and in the pipeline."""
    decoders: int
    """Decoding processes, in the server and in the pipeline."""
    starts: int
    """Fresh servers whose start is timed, after one that is not."""
    rounds: int
    """Samples of each video with one client."""
    warmup_rounds: int
    saturation_rounds: int
    saturation_seconds: float
    """Of each half of a round, about."""
    overload_seconds: float
    deadline_seconds: float
    """That each request of the overload asks for."""
    seed: int

    def server_settings(self) -> dict[str, object]:
        """The server's settings that are not its defaults."""
        return {
            "bundle": self.bundle,
            "backend": self.backend.value,
            "threads": self.threads,
            "decoders": self.decoders,
        }


@dataclass(frozen=True, kw_only=True)
class Served:
    """All that was measured."""

    known: Known
    backend: str
    starts: TimedCase
    alone: Alone
    saturation: Saturation
    overload: Step


def measure_serving(bundle: Bundle, plan: Plan, *, watch: Watch) -> Served:
    """Measure one phase after the other.

    Raises ResultError when the server and the pipeline do not give equal answers, or the server
    does not start, answer or end as it should.
    """
    starts = _starts(plan, watch=watch)
    with ExitStack() as stack:
        pipeline = stack.enter_context(
            open_pipeline(
                bundle, backend=plan.backend, threads=plan.threads, decoders=plan.decoders
            )
        )
        server = stack.enter_context(running_server(plan.server_settings()))
        endpoint = Endpoint(
            url=server.url, path="/classify", headers={}, timeout_seconds=TIMEOUT_SECONDS
        )
        known = ask_alone(endpoint, plan.videos)
        alone = _alone(endpoint, known, pipeline, plan, watch=watch)
        saturation = _saturation(endpoint, known, pipeline, plan, watch=watch)
        overload = _overload(endpoint, known, saturation, plan, watch=watch)
        return Served(
            known=known,
            backend=pipeline.runner.name,
            starts=starts,
            alone=alone,
            saturation=saturation,
            overload=overload,
        )


def _starts(plan: Plan, *, watch: Watch) -> TimedCase:
    """Times to ready of fresh servers; a first one brings the files into the system's cache."""
    ready_ms = []
    with watch("starts", plan.starts + 1) as advance:
        for _ in range(plan.starts + 1):
            with running_server(plan.server_settings()) as server:
                ready_ms.append(server.ready_seconds * 1000)
            advance()
    return TimedCase.of(START, ready_ms[1:], seed=plan.seed)


def _alone(
    endpoint: Endpoint, known: Known, pipeline: BarePipeline, plan: Plan, *, watch: Watch
) -> Alone:
    total = plan.rounds + plan.warmup_rounds
    with endpoint.client() as client, watch("one client", total) as advance:
        for video in plan.videos:
            require_equal(client, endpoint, pipeline, video)
        return measure_alone(
            client,
            endpoint,
            pipeline,
            list(zip(known.names, plan.videos, strict=True)),
            rounds=plan.rounds,
            warmup_rounds=plan.warmup_rounds,
            seed=plan.seed,
            after_round=advance,
        )


def _saturation(
    endpoint: Endpoint, known: Known, pipeline: BarePipeline, plan: Plan, *, watch: Watch
) -> Saturation:
    with watch("many clients", plan.saturation_rounds + 1) as advance:

        def rounds(count: int, videos: int) -> Saturation:
            return measure_saturation(
                endpoint,
                known,
                pipeline,
                clients=plan.decoders * CLIENTS_PER_DECODER,
                rounds=count,
                videos_a_round=videos,
                seed=plan.seed,
                after_round=advance,
            )

        # One short round first, which also tells how many videos fill the time.
        tried = rounds(1, 8 * plan.decoders).python.summary.mean
        return rounds(
            plan.saturation_rounds,
            max(4 * plan.decoders, round(plan.saturation_seconds * 1000 / tried)),
        )


def _overload(
    endpoint: Endpoint, known: Known, saturation: Saturation, plan: Plan, *, watch: Watch
) -> Step:
    capacity = 1000 / saturation.server.summary.mean
    hurried = Endpoint(
        url=endpoint.url,
        path=f"{endpoint.path}?deadline={plan.deadline_seconds:g}",
        headers=endpoint.headers,
        timeout_seconds=endpoint.timeout_seconds,
    )
    with watch("too many clients", 1) as advance:
        step = measure_overload(
            hurried,
            known,
            rate=OVERLOAD_FACTOR * capacity,
            seconds=plan.overload_seconds,
            seed=plan.seed,
        )
        advance()
    return step
