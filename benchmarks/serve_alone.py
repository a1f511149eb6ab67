"""One client at a time: what HTTP adds to decoding and the model, after both gave equal answers."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from motionfit.benchmarks.asked_alone import Endpoint
from motionfit.benchmarks.bare_pipeline import BarePipeline
from motionfit.benchmarks.client import Client, Reply
from motionfit.benchmarks.load_plan import alike, fingerprint
from motionfit.benchmarks.result import Ratio, ResultError, TimedCase
from motionfit.benchmarks.timing import Case, measure
from motionfit.serving.schemas import AnswerBody

SETTLE_SECONDS = 0.05
"""Before each request: threads of a runtime go on spinning for a while after an answer."""


@dataclass(frozen=True, kw_only=True)
class Alone:
    """Milliseconds by HTTP and in Python, for each video."""

    cases: tuple[TimedCase, ...]
    ratios: tuple[Ratio, ...]


def require_equal(client: Client, endpoint: Endpoint, pipeline: BarePipeline, video: Path) -> None:
    """Raise ResultError unless the server and the pipeline give the same answer for a video."""
    body = AnswerBody.of(pipeline.classify(video), timings_ms={})
    expected = body.model_dump(mode="json")
    reply = client.post_video(endpoint.path, video.read_bytes())
    if reply.status != 200:
        raise ResultError(f"{video.name}: the server answers {reply.status}: {reply.json()}")
    found = reply.json()
    scores, others = _scores(expected), _scores(found)
    apart = max(abs(scores[label] - others.get(label, 0.0)) for label in scores)
    if not alike(fingerprint(found), fingerprint(expected)):
        raise ResultError(
            f"{video.name}: the server and the pipeline in Python give different answers, "
            f"scores up to {apart:.3g} apart; nothing was timed"
        )


def measure_alone(
    client: Client,
    endpoint: Endpoint,
    pipeline: BarePipeline,
    videos: Sequence[tuple[str, Path]],
    *,
    rounds: int,
    warmup_rounds: int,
    seed: int,
    after_round: Callable[[], None],
) -> Alone:
    """Take turns between ``/classify`` and the pipeline, for each video (its name and file)."""
    cases = []
    for name, path in videos:
        content = path.read_bytes()
        post = partial(_answered, client, endpoint, content)
        cases += [
            Case(name=f"{name}/http", run=post),
            Case(name=f"{name}/python", run=partial(pipeline.classify, path)),
        ]
    samples = measure(
        cases,
        rounds=rounds,
        warmup_rounds=warmup_rounds,
        seed=seed,
        before_case=partial(time.sleep, SETTLE_SECONDS),
        after_round=after_round,
    )
    timed = {name: TimedCase.of(name, values, seed=seed) for name, values in samples.items()}
    ratios = [
        Ratio.of(timed[f"{name}/http"], timed[f"{name}/python"], seed=seed) for name, _ in videos
    ]
    return Alone(cases=tuple(timed.values()), ratios=tuple(ratios))


def _answered(client: Client, endpoint: Endpoint, video: bytes) -> Reply:
    reply = client.post_video(endpoint.path, video)
    if reply.status != 200:
        raise ResultError(f"the server, with one client, answers {reply.status}: {reply.json()}")
    return reply


def _scores(answer: Mapping[str, Any]) -> dict[str, float]:
    return {entry["label"]: entry["score"] for entry in answer["top"]}
