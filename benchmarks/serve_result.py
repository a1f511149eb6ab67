"""A server's measurement as a result, held against what is promised of the server."""

from motionfit.benchmarks.load_step import MOST_FAULTS, fate_of
from motionfit.benchmarks.result import Fault, Figure, Rate, Ratio, Result, Target
from motionfit.benchmarks.serve import (
    CLIENTS_PER_DECODER,
    OVERLOAD_FACTOR,
    Plan,
    Served,
    measure_serving,
)
from motionfit.benchmarks.serve_alone import Alone
from motionfit.benchmarks.serve_load import accepted, overload_figures, share_in_time
from motionfit.benchmarks.session import Session
from motionfit.benchmarks.watch import Watch
from motionfit.inference.bundle import Bundle

KIND = "serve"
MOST_LATENCY_RATIO = 1.15
LEAST_THROUGHPUT_RATIO = 0.9
MOST_REFUSAL_MS = 50.0
MOST_READY_SECONDS = 2.0


def serve_result(bundle: Bundle, plan: Plan, *, session: Session, watch: Watch) -> Result:
    """``measure_serving`` as a result of kind ``serve``, held against what is promised."""
    served = measure_serving(bundle, plan, watch=watch)
    saturation, overload = served.saturation, served.overload
    throughput = Ratio.of(saturation.python, saturation.server, seed=plan.seed)
    cases = [*served.alone.cases, saturation.server, saturation.python]
    return session.finish(
        kind=KIND,
        settings={
            "backend": served.backend,
            "threads": plan.threads,
            "decoders": plan.decoders,
            "rounds": plan.rounds,
            "warmup_rounds": plan.warmup_rounds,
            "saturation_rounds": plan.saturation_rounds,
            "saturation_clients": plan.decoders * CLIENTS_PER_DECODER,
            "overload_factor": OVERLOAD_FACTOR,
            "overload_seconds": plan.overload_seconds,
            "deadline_seconds": plan.deadline_seconds,
        },
        bundle=bundle,
        videos=served.known.records,
        cases=[served.starts, *cases, *overload.cases(seed=plan.seed)],
        ratios=[*served.alone.ratios, throughput],
        rates=[
            Rate.of(case, count=1, unit="videos") for case in (saturation.server, saturation.python)
        ],
        figures=_figures(served, plan),
        targets=_targets(served, throughput, plan),
        faults=_faults(served),
    )


def _figures(served: Served, plan: Plan) -> list[Figure]:
    saturation = served.saturation
    return [
        Figure(name="saturation/requests", unit="requests", value=len(saturation.sent)),
        Figure(
            name="saturation/client-cores", unit="cores", value=round(saturation.client_cores, 4)
        ),
        *overload_figures(served.overload, deadline_seconds=plan.deadline_seconds),
    ]


def _targets(served: Served, throughput: Ratio, plan: Plan) -> list[Target]:
    refused = {case.name: case.summary for case in served.overload.cases(seed=plan.seed)}
    summary = refused.get("overload/refused")
    in_time = share_in_time(accepted(served.overload), deadline_seconds=plan.deadline_seconds)
    ready_s = served.starts.summary.max / 1000
    return [
        *(_latency_target(served.alone, ratio) for ratio in served.alone.ratios),
        Target.of(
            "throughput at saturation, server / Python",
            throughput.ratio.value if throughput.ratio else None,
            unit="",
            at_least=LEAST_THROUGHPUT_RATIO,
        ),
        Target.of(
            "p95 of refusals at twice the capacity, after the last byte",
            summary.p95 if summary else None,
            unit="ms",
            at_most=MOST_REFUSAL_MS,
        ),
        Target.of(
            "accepted requests answered within their deadline", in_time, unit="", at_least=1.0
        ),
        Target.of("slowest start to ready", ready_s, unit="s", at_most=MOST_READY_SECONDS),
        Target.of("wrong answers", _wrong(served), unit="answers", at_most=0),
    ]


def _latency_target(alone: Alone, ratio: Ratio) -> Target:
    medians = {case.name: case.summary.median for case in alone.cases}
    http, python = medians[ratio.numerator], medians[ratio.denominator]
    return Target.of(
        f"{ratio.numerator} / Python, one client, medians",
        http.value / python.value if http and python else None,
        unit="",
        at_most=MOST_LATENCY_RATIO,
    )


def _wrong(served: Served) -> int:
    sent = (*served.saturation.sent, *served.overload.sent)
    return sum(fate_of(one) == "wrong" for one in sent)


def _faults(served: Served) -> list[Fault]:
    """Requests at saturation that were not answered rightly, then those of the overload."""
    names = served.known.names
    lost = [one for one in served.saturation.sent if fate_of(one) != "answered"]
    return [
        *(
            Fault(
                name=f"saturation/{names[one.video]}",
                what=f"{fate_of(one)}: {one.error or one.code or one.status}",
            )
            for one in lost[:MOST_FAULTS]
        ),
        *served.overload.faults(videos=names),
    ]
