import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motionfit.benchmarks import serve
from motionfit.benchmarks.asked_alone import Endpoint
from motionfit.benchmarks.bare_pipeline import BarePipeline, open_pipeline
from motionfit.benchmarks.client import Client
from motionfit.benchmarks.load_plan import Sent
from motionfit.benchmarks.result import Result, ResultError, Target, read_result
from motionfit.benchmarks.serve_alone import require_equal
from motionfit.benchmarks.serve_load import share_in_time
from motionfit.benchmarks.server_process import Server, running_server
from motionfit.inference.bundle import Bundle
from motionfit.inference.runner import Backend
from tests.conftest import child_processes

Bench = Callable[..., Any]
MakeClip = Callable[..., Path]
# Small numbers of everything; one start, two samples.
QUICK = ["--backend=onnx", "--threads=1", "--starts=1", "--rounds=11", "--warmup=1"]
QUICK += ["--saturation-rounds=2", "--saturation-seconds=0.2", "--overload-seconds=1"]


@pytest.fixture(scope="module")
def result(
    bundle: Path, red_and_blue: list[Path], bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> Result:
    """Of the real command."""
    output = tmp_path_factory.mktemp("result") / "serve.json"
    before = child_processes()
    done = bench("serve", bundle, *red_and_blue, *QUICK, "-o", output)
    found = read_result(output)
    missed = any(target.met is False for target in found.targets)
    assert done.returncode == int(missed), done.stderr
    assert ("MISSED" in done.stdout) is missed
    assert child_processes() == before
    return found


def test_the_real_server_is_measured_in_every_phase(result: Result) -> None:
    assert {case.name: case.summary.n for case in result.cases if "overload" not in case.name} == {
        "start/ready": 1,
        "red.mp4/http": 11,
        "red.mp4/python": 11,
        "blue.mp4/http": 11,
        "blue.mp4/python": 11,
        "saturation/server": 2,
        "saturation/python": 2,
    }
    assert [(one.numerator, one.denominator) for one in result.ratios] == [
        ("red.mp4/http", "red.mp4/python"),
        ("blue.mp4/http", "blue.mp4/python"),
        ("saturation/python", "saturation/server"),
    ]
    assert result.settings["backend"] == "onnxruntime/cpu"
    assert [video.name for video in result.videos] == ["red.mp4", "blue.mp4"]
    assert result.model is not None
    assert result.model.name == "colours"
    figures = {one.name: one.value for one in result.figures}
    fates = [figures[f"overload/{fate}"] for fate in ("answered", "wrong", "refused", "failed")]
    assert sum(fates) == round(figures["overload/offered-per-second"])
    assert 0 < figures["saturation/client-cores"] < 2


def test_what_is_promised_is_judged(result: Result) -> None:
    targets = {target.name: target for target in result.targets}
    assert list(targets) == [
        "red.mp4/http / Python, one client, medians",
        "blue.mp4/http / Python, one client, medians",
        "throughput at saturation, server / Python",
        "p95 of refusals at twice the capacity, after the last byte",
        "accepted requests answered within their deadline",
        "slowest start to ready",
        "wrong answers",
    ]
    medians = {case.name: case.summary.median for case in result.cases}
    http, python = medians["red.mp4/http"], medians["red.mp4/python"]
    assert http is not None
    assert python is not None
    latency = targets["red.mp4/http / Python, one client, medians"]
    assert latency.value == pytest.approx(http.value / python.value, rel=1e-3)
    assert latency.met is (latency.value is not None and latency.value <= 1.15)
    few = targets["throughput at saturation, server / Python"]
    assert (few.value, few.met) == (None, None)
    assert targets["wrong answers"].met


def test_a_server_that_answers_otherwise_is_not_timed(
    bundle: Path, red_and_blue: list[Path], tmp_path: Path, make_bundle: Callable[..., Path]
) -> None:
    # It does not know red.
    other = make_bundle(tmp_path / "other", labels=("yellow", "blue"))
    pipeline = open_pipeline(Bundle.open(other), backend=Backend.ONNX, threads=1, decoders=1)
    with running_server({"bundle": bundle}) as server, pipeline as python:
        endpoint = Endpoint(url=server.url, path="/classify", headers={}, timeout_seconds=30)
        with Client(server.url) as client, pytest.raises(ResultError, match="different answers"):
            require_equal(client, endpoint, python, red_and_blue[0])


def test_a_pipeline_answers_each_video_once(bundle: Path, red_and_blue: list[Path]) -> None:
    asked: list[str] = []
    with open_pipeline(
        Bundle.open(bundle), backend=Backend.ONNX, threads=1, decoders=2
    ) as pipeline:
        honest = pipeline._classify
        pipeline._classify = lambda video, decoder: (  # type: ignore[method-assign]
            asked.append(video.stem),
            honest(video, decoder),
        )[1]
        pipeline.run(red_and_blue * 3)
        assert pipeline.classify(red_and_blue[1]).label == "blue"
    assert sorted(asked) == ["blue"] * 4 + ["red"] * 3


def test_a_pipeline_passes_errors_on(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video " * 100)
    with open_pipeline(
        Bundle.open(bundle), backend=Backend.ONNX, threads=1, decoders=1
    ) as pipeline:
        python: BarePipeline = pipeline
        with pytest.raises(Exception, match="not|no"):
            python.run([tmp_path / "text.mp4"])


def test_deadlines_count_from_the_last_byte() -> None:
    def sent(*, status: int, sent_s: float, right: bool | None = True) -> Sent:
        return Sent(
            video=0,
            scheduled_s=0,
            started_s=0,
            sent_s=sent_s,
            answered_s=3,
            status=status,
            code=None,
            right=right,
            error=None,
        )

    in_time, late = sent(status=200, sent_s=1.5), sent(status=200, sent_s=0.5)
    lost, wrong = sent(status=504, sent_s=1.5), sent(status=200, sent_s=1.5, right=False)
    requests = [in_time, late, lost, wrong]
    assert share_in_time(requests, deadline_seconds=2) == 0.25
    assert share_in_time([], deadline_seconds=2) is None


def test_targets_are_met_or_missed_or_unknown() -> None:
    def met(value: float | None, **bounds: float) -> bool | None:
        return Target.of("a", value, unit="ms", **bounds).met

    assert [met(value, at_most=2.0) for value in (None, 1, 2, 3)] == [None, True, True, False]
    assert [met(value, at_least=2.0) for value in (1, 2)] == [False, True]


def test_a_server_starts_with_the_settings_given_and_no_others(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONFIT_BUNDLE", "/nowhere")
    monkeypatch.setenv("MOTIONFIT_DECODERS", "63")
    with running_server({"bundle": bundle, "threads": None}) as server:
        assert 0 < server.ready_seconds < serve.TIMEOUT_SECONDS
        assert list(server.temp.iterdir()) == []
        assert server.unexpected() == []
        with Client(server.url) as client:
            assert client.get("/model").json()["name"] == "colours"
        before: Server = server
    with pytest.raises(OSError, match="127.0.0.1"), Client(before.url) as client:
        client.get("/healthz")


def test_a_server_that_does_not_start_is_said_so_with_its_reason() -> None:
    with (
        pytest.raises(ResultError, match="did not get ready: error: .*/nowhere"),
        running_server({"bundle": "/nowhere"}),
    ):
        pass


def test_a_server_that_ends_on_its_own_is_noticed(bundle: Path) -> None:
    def killed() -> None:
        with running_server({"bundle": bundle}) as server:
            os.kill(server.pid, signal.SIGKILL)
            os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(ResultError, match="the server ended with -9"):
        killed()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embedded"], "no video was named"),
        (["absent.mp4"], "there is no video absent.mp4"),
        ([], "Missing argument"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: list[str], message: str, bench: Bench) -> None:
    done = bench("serve", *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())
