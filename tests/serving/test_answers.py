"""What /classify can be asked for: a part of the video, an embedding, a timeline; and its times."""

import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from motionfit.inference.classifier import Classifier
from motionfit.inference.sampling import Span
from motionfit.inference.warmup import made_clip
from motionfit.serving.schemas import AnswerBody
from tests.serving.conftest import RAW, SPEC, problem_of

STAGES = ["receive", "queue", "decode", "batch", "infer", "post", "total"]


def classify(client: httpx.Client, video: bytes, **query: Any) -> httpx.Response:
    return client.post("/classify", content=video, headers=RAW, params=query)


def answer_of(client: httpx.Client, video: bytes, **query: Any) -> AnswerBody:
    response = classify(client, video, **query)
    assert response.status_code == 200, response.text
    return AnswerBody.model_validate_json(response.content)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ({"embedding": True}, {"embedding": True}),
        ({"timeline": True}, {"timeline": True}),
        (
            {"timeline": True, "stride": 0.3, "start": 0.5, "end": 1.6, "embedding": True},
            {
                "timeline": True,
                "stride_seconds": 0.3,
                "span": Span(start_seconds=0.5, end_seconds=1.6),
                "embedding": True,
            },
        ),
        ({"start": 1.25, "clips": 2}, {"span": Span(start_seconds=1.25), "clips": 2}),
    ],
)
def test_answer_is_that_of_the_python_face(
    client: httpx.Client,
    bundle: Path,
    clip: bytes,
    tmp_path: Path,
    query: dict[str, Any],
    asked: dict[str, Any],
) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    with Classifier.open(bundle, isolate=False) as classifier:
        answer = classifier.classify(tmp_path / "clip.mp4", **asked)
    expected = AnswerBody.of(answer, timings_ms={}).model_dump(exclude={"timings_ms"})
    answered = answer_of(client, clip, **query).model_dump(exclude={"timings_ms"})
    embeddings = [body.pop("embedding") for body in (answered, expected)]
    assert answered == expected
    assert embeddings[0] == pytest.approx(embeddings[1], abs=1e-5)


def test_embedding_has_length_one_and_is_null_unless_asked_for(
    client: httpx.Client, clip: bytes
) -> None:
    answer = answer_of(client, clip, embedding=True)
    assert np.linalg.norm(answer.embedding or ()) == pytest.approx(1)
    assert classify(client, clip).json()["embedding"] is None


def test_timeline_covers_the_video(client: httpx.Client, clip: bytes) -> None:
    answer = answer_of(client, clip, timeline=True, stride=0.1)
    timeline = answer.timeline
    assert timeline is not None
    assert timeline.stride_seconds == 0.1
    starts = [window.start_seconds for window in timeline.windows]
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert timeline.windows[-1].end_seconds == pytest.approx(answer.video.duration_seconds)
    assert len(starts) == pytest.approx((2 - SPEC.clip_seconds) / 0.1 + 1, abs=1)
    assert timeline.segments[0].start_seconds == 0
    assert timeline.segments[-1].end_seconds == pytest.approx(2)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"start": 2.5}, "span-outside"),
        ({"timeline": True, "stride": 1e300}, "bad-parameter"),
        ({"start": 1e300}, "bad-parameter"),
        ({"timeline": True, "clips": 2}, "bad-parameter"),
        ({"stride": 1}, "bad-parameter"),
        ({"timeline": True, "stride": 0}, "bad-parameter"),
        ({"start": 2, "end": 1}, "bad-parameter"),
        ({"start": -1}, "bad-parameter"),
        ({"start": "inf"}, "bad-parameter"),
        ({"end": "nan"}, "bad-parameter"),
        ({"embedding": "perhaps"}, "bad-parameter"),
        ({"deadline": 0}, "bad-parameter"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    client: httpx.Client, clip: bytes, query: dict[str, Any], code: str
) -> None:
    assert problem_of(classify(client, clip, **query)).code == code


def test_timeline_of_too_many_windows_is_refused_with_a_stride_that_would_do(
    client: httpx.Client,
) -> None:
    video = made_clip(seconds=6)
    problem = problem_of(classify(client, video, timeline=True, stride=0.001))
    assert problem.code == "too-many-windows"
    found = re.search(r"slide by ([\d.]+) s", problem.detail)
    assert found, problem.detail
    assert classify(client, video, timeline=True, stride=found[1]).status_code == 200


@pytest.mark.parametrize("query", [{}, {"timeline": True}])
def test_times_of_all_stages_are_told_twice_and_add_up(
    client: httpx.Client, clip: bytes, query: dict[str, Any]
) -> None:
    response = classify(client, clip, **query)
    told = re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"])
    times = {stage: float(ms) for stage, ms in told}
    assert sorted(times) == sorted(STAGES)
    assert response.json()["timings_ms"] == pytest.approx(times, abs=0.002)
    assert min(times.values()) >= 0
    assert sum(times.values()) <= 2 * times["total"] + 1
