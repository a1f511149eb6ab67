"""Start, readiness, hangs, crashes and the end of the server; and what is left behind: nothing."""

import asyncio
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import onnx
import pytest
from onnx import TensorProto, helper

from motionfit.inference.warmup import made_clip
from motionfit.serving.app import create_app
from motionfit.serving.settings import Settings
from motionfit.serving.work import pipeline
from tests.conftest import PATIENCE_SECONDS, wait_until
from tests.serving.conftest import (
    COMMAND,
    RAW,
    SPEC,
    ServerProcess,
    answer_on,
    classify,
    head_of,
    metric,
    problem_of,
    serving,
    stopped,
    write_bundle,
)


def alive(pid: int) -> bool:
    """Whether a process exists, be it as a zombie."""
    return Path(f"/proc/{pid}").exists()


def test_ready_only_after_the_warm_up_clip(bundle: Path, clip: bytes) -> None:
    async def states() -> list[httpx.Response]:
        app = create_app(Settings(bundle=bundle))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            before = [await client.get(path) for path in ("/healthz", "/readyz", "/model")]
            before.append(await client.post("/classify", content=clip, headers=RAW))
            async with app.router.lifespan_context(app):
                async with asyncio.timeout(30):
                    while (await client.get("/readyz")).status_code != 200:
                        await asyncio.sleep(0.02)
                after = await client.post("/classify", content=clip, headers=RAW)
        return [*before, after]

    health, readiness, model, early, answer = asyncio.run(states())
    assert (health.status_code, model.status_code, answer.status_code) == (200, 200, 200)
    assert problem_of(readiness).code == problem_of(early).code == "not-ready"
    assert readiness.status_code == early.status_code == 503
    assert int(early.headers["retry-after"]) >= 1


def test_answers_do_not_wait_for_delayed_acknowledgements(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url) as client:
        seconds = [client.get("/healthz").elapsed.total_seconds() for _ in range(31)]
    assert statistics.median(seconds) < 0.03  # 0.04 is what a connection without TCP_NODELAY takes


def test_requests_leave_no_file_and_no_further_process(server: ServerProcess, clip: bytes) -> None:
    wait_until(lambda: len(server.children()) == 5)  # two, one to spare, and two of timelines
    children = server.children()
    for video in (clip, b"no video" * 1000, clip[:-2000]):
        classify(server, video)
    assert sorted(server.children()) == sorted(children)
    assert list(server.temp.iterdir()) == []
    wait_until(lambda: not server.videos())


def test_a_server_that_ends_while_it_makes_its_check_video_leaves_nothing_open(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def slow_clip() -> bytes:
        begun.set()
        time.sleep(0.5)
        return made_clip()

    monkeypatch.setattr(pipeline, "made_clip", slow_clip)

    async def start_and_end() -> None:
        app = create_app(Settings(bundle=bundle))
        async with app.router.lifespan_context(app):
            assert await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)

    # Waits for its threads. A file that nobody closed would be a warning, which fails a test.
    asyncio.run(start_and_end())


@pytest.mark.parametrize(
    ("sig", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_end_leaves_no_process_and_no_file(
    bundle: Path, clip: bytes, sig: signal.Signals, code: int
) -> None:
    with serving("--bundle", bundle) as server:
        server.wait_ready()
        assert classify(server, clip).status_code == 200
        children = server.children()
        assert server.stop(sig) == code
        wait_until(lambda: not any(map(alive, children)))
        assert list(server.temp.iterdir()) == []
        assert "Traceback" not in server.log


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_end_in_the_middle_of_the_start_leaves_no_process(
    bundle: Path, sig: signal.Signals
) -> None:
    with serving("--bundle", bundle) as server:
        wait_until(lambda: bool(server.children()))  # the model is loaded beside them
        children = server.children()
        assert server.stop(sig) in {0, 130}
        wait_until(lambda: not any(map(alive, children)))
        assert "Traceback" not in server.log


def refuses(server: ServerProcess) -> bool:
    """Whether nobody listens any more."""
    try:
        server.connect().close()
    except ConnectionError:
        return True
    return False


def test_what_was_accepted_is_finished_before_the_end(bundle: Path, clip: bytes) -> None:
    with (
        serving("--bundle", bundle, "--decoders", 1) as server,
        ThreadPoolExecutor(3) as threads,
        server.wait_ready().connect() as uploading,
        server.connect() as idle,
    ):
        uploading.sendall(head_of(len(clip)) + clip[:100])
        with stopped(server.children()):
            answers = [threads.submit(classify, server, clip) for _ in range(3)]
            wait_until(lambda: metric(server, "motionfit_queue_depth") == 2)
            server.process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""
            wait_until(lambda: refuses(server))
            uploading.sendall(clip[100:])
        assert [answer.result().status_code for answer in answers] == [200, 200, 200]
        assert answer_on(uploading).status_code == 200
        assert server.process.wait(PATIENCE_SECONDS) == 0


def test_port_that_is_taken_is_a_one_line_error(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start_in_vain("--bundle", bundle, "--port", port)
    assert done.returncode == 1
    assert re.search(rf"^error: cannot listen on 127\.0\.0\.1, port {port}: .*--port", done.stderr)


def test_bad_bundle_ends_the_start_with_one_line(tmp_path: Path) -> None:
    done = start_in_vain("--bundle", tmp_path, "--port", 0)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path} is not a bundle")
    assert done.stderr.count("\n") == 1


def test_model_that_fails_on_the_warm_up_clip_ends_the_server(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", graph=graph_that_fails())
    done = start_in_vain("--bundle", bundle, "--port", 0, "--backend", "onnx")
    assert done.returncode == 1
    assert "error: the warm-up clip was not answered" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Ready" not in done.stdout


@pytest.mark.parametrize(
    "arguments", [["--port", "70000"], ["--decoders", "0"], ["--decode-timeout", "-1"], ["--huh"]]
)
def test_wrong_use_ends_with_code_2(arguments: list[str]) -> None:
    assert start_in_vain(*arguments).returncode == 2


def test_variables_are_settings_too_and_flags_win(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONFIT_BUNDLE", str(bundle))
    monkeypatch.setenv("MOTIONFIT_MAX_UPLOAD_BYTES", "1000")
    monkeypatch.setenv("MOTIONFIT_DECODERS", "3")
    with serving("--decoders", 1) as server:
        server.wait_ready()
        wait_until(lambda: len(server.children()) == 4)
        assert problem_of(classify(server, b"x" * 1001)).code == "upload-too-large"


def test_app_starts_without_torch_opencv_or_training(bundle: Path) -> None:
    heavy = "{'torch', 'torchvision', 'cv2', 'onnx', 'motionfit.training', 'motionfit.export'}"
    code = (
        "import sys\n"
        "from motionfit.serving.app import create_app\n"
        "from motionfit.serving.settings import Settings\n"
        f"create_app(Settings(bundle={str(bundle)!r}))\n"
        f"print({heavy} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def start_in_vain(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def graph_that_fails() -> onnx.GraphProto:
    """A graph that loads, and cannot be run: it gathers a row that is not there."""
    shape = ["N", SPEC.num_frames, SPEC.crop, SPEC.crop, 3]
    axes = helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3])
    return helper.make_graph(
        [
            helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["embedding"], keepdims=0),
            helper.make_node("ReduceMax", ["embedding"], ["largest"], keepdims=0),
            helper.make_node("Cast", ["largest"], ["row"], to=TensorProto.INT64),
            helper.make_node("Gather", ["embedding", "row"], ["one"]),
            helper.make_node("Add", ["embedding", "one"], ["logits"]),
        ],
        "failing",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, shape)],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3]),
        ],
        [axes],
    )
