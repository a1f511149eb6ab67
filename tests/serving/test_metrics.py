"""GET /metrics, read as Prometheus reads it, after a known sequence of requests."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from av import Codec
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from motionfit.inference.codecs import DECODERS
from motionfit.inference.confinement import MEASURES
from motionfit.serving.metrics import OTHER, RESTARTS, STAGES, Metrics
from tests.conftest import wait_until
from tests.serving.conftest import RAW, ServerProcess, serving

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[ServerProcess]:
    """A server that nobody else asks."""
    with serving("--bundle", bundle, "--decoders", 1, "--max-upload-mib", 1) as running:
        yield running.wait_ready()


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def series(client: httpx.Client) -> Series:
    """Each sample by its name and labels."""
    response = client.get("/metrics").raise_for_status()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(found: Series, name: str, /, **labels: str) -> float:
    return found.get((f"motionfit_{name}", frozenset(labels.items())), 0.0)


def test_counts_are_those_of_the_requests_that_were_made(client: httpx.Client, clip: bytes) -> None:
    before = series(client)
    for _ in range(3):
        client.post("/classify?clips=2", content=clip, headers=RAW).raise_for_status()
    client.post("/classify", content=b"hello\n" * 500, headers=RAW)
    client.post("/classify", content=b"", headers=RAW)
    client.post("/classify", content=b"x" * (1024**2 + 1), headers=RAW)
    client.post("/classify", content=clip[:-2000], headers=RAW)
    client.get("/nothing")
    client.get("/model")
    after = series(client)

    def grown(name: str, /, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("responses_total", route="/classify", status="200") == 3
    assert grown("responses_total", route="/classify", status="415") == 1
    assert grown("responses_total", route="/classify", status="400") == 1
    assert grown("responses_total", route="/classify", status="413") == 1
    assert grown("responses_total", route=OTHER, status="404") == 1
    assert grown("responses_total", route="/model", status="200") == 1
    assert grown("rejections_total", cause="not-a-video") == 1
    assert grown("rejections_total", cause="missing-video") == 1
    assert grown("rejections_total", cause="upload-too-large") == 1
    assert grown("rejections_total", cause="not-found") == 1
    for stage in STAGES:
        assert grown("stage_seconds_count", stage=stage) >= 3
    assert grown("stage_seconds_sum", stage="total") > grown("stage_seconds_sum", stage="infer") > 0
    assert grown("batch_clips_sum") == 6
    assert 1 <= grown("batch_clips_count") <= 3
    assert grown("batch_requests_sum") == 3
    assert value(after, "queue_depth") == 0


def test_the_model_that_answers_is_named(client: httpx.Client) -> None:
    model = client.get("/model").json()
    labels = {name: model[name] for name in ("name", "version", "backend")}
    assert value(series(client), "model_info", **labels) == 1


def test_a_decoder_that_dies_is_counted(
    server: ServerProcess, client: httpx.Client, clip: bytes
) -> None:
    def crashes() -> float:
        return value(series(client), "decoder_restarts_total", reason="crashed")

    def kill_and_ask() -> float:
        # Again and again: while processes come and go, the kernel's list may lack some of them.
        for child in server.children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        client.post("/classify", content=clip, headers=RAW)
        return crashes()

    client.post("/classify", content=clip, headers=RAW)
    before = crashes()
    wait_until(lambda: kill_and_ask() > before)


def test_a_video_that_cannot_be_decoded_is_counted_by_its_codec(client: httpx.Client) -> None:
    before = series(client)
    client.post("/classify", content=b"hello\n" * 500, headers=RAW)
    problem = client.post("/classify", content=huge_gif(), headers=RAW).json()
    after = series(client)
    for codec, code in ((OTHER, "not-a-video"), ("gif", problem["code"])):
        labels = {"codec": codec, "code": code}
        counts = [value(found, "decode_failures_total", **labels) for found in (before, after)]
        assert counts[1] == counts[0] + 1


def huge_gif() -> bytes:
    """A GIF of more pixels than are decoded."""
    size = (10_000).to_bytes(2, "little") * 2
    picture = b"," + b"\x00" * 4 + size + b"\x00" + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + size + b"\x80\x00\x00" + b"\x00" * 3 + b"\xff" * 3 + picture + b";"


def test_openmetrics_is_given_to_who_asks_for_it(client: httpx.Client) -> None:
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    response = client.get("/metrics", headers=accept)
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name for family in openmetrics.text_string_to_metric_families(response.text)}
    assert "motionfit_stage_seconds" in families


@pytest.mark.parametrize("version", ['"1.0.0"', "x", "1.0.0.0.0", ""])
def test_any_version_of_openmetrics_may_be_asked_for(client: httpx.Client, version: str) -> None:
    accept = {"accept": f"application/openmetrics-text; version={version}"}
    response = client.get("/metrics", headers=accept)
    assert response.status_code == 200
    assert "motionfit_stage_seconds" in response.text


def test_what_clients_send_makes_no_new_series(client: httpx.Client) -> None:
    _hostile(client, "first")
    series(client)
    before = set(series(client))
    for word in ("second", "third", "%0amotionfit_fake 1", '"}'):
        _hostile(client, word)
    assert set(series(client)) == before


def _hostile(client: httpx.Client, word: str) -> None:
    client.get(f"/nothing/{word}")
    client.get(f"/page/{word}")
    client.request(f"X{word.encode().hex()}", "/classify")
    client.post(f"/classify?top={word}", headers=RAW | {"x-request-id": word, "user-agent": word})
    client.post("/classify", content=word.encode() * 500, headers=RAW)
    client.get(f"/v2/models/{word}")


def test_every_label_value_is_one_of_a_few() -> None:
    metrics = Metrics()
    for number in range(100):
        metrics.stage(f"stage-{number}", 1.0)
        metrics.decode_failed(codec=f"codec-{number}", code="unreadable-video")
        metrics.decoder_restarted(f"reason-{number}")
        metrics.reloaded(f"outcome-{number}")
        metrics.confined([f"measure-{number}"])
        metrics.serve_model(name="student", version=str(number), backend="onnxruntime/cpu")
    labels = {
        (name, value)
        for family in metrics.registry.collect()
        for sample in family.samples
        for name, value in sample.labels.items()
    }
    assert {v for n, v in labels if n == "stage"} == {*STAGES, OTHER}
    assert {v for n, v in labels if n == "codec"} == {OTHER}
    assert {v for n, v in labels if n == "reason"} == {*RESTARTS, OTHER}
    assert {v for n, v in labels if n == "version"} == {"99"}
    assert {v for n, v in labels if n == "measure"} == set(MEASURES)


def test_each_codec_that_is_accepted_has_a_name_of_its_own() -> None:
    metrics = Metrics()
    accepted = {Codec(name, "r").canonical_name for name in DECODERS}
    for codec in accepted:
        metrics.decode_failed(codec=codec, code="decode-timeout")
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    assert {s.labels["codec"] for s in samples if "codec" in s.labels} == accepted
