"""A tiny bundle, made clips, and real servers in processes of their own."""

import http.client
import io
import os
import queue
import re
import signal
import socket
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from motionfit.inference.clip import ClipSpec
from motionfit.inference.warmup import made_clip
from motionfit.serving.problems import MEDIA_TYPE, Problem
from tests.conftest import PATIENCE_SECONDS, child_processes
from tests.toy_bundles import write_bundle as write_any_bundle

ROOT = Path(__file__).parents[2]
COMMAND = Path(sysconfig.get_path("scripts")) / "motionfit-serve"
SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=3)
LABELS = ("red", "green", "blue")
RAW = {"content-type": "video/mp4"}


def write_bundle(folder: Path, *, graph: onnx.GraphProto | None = None) -> Path:
    """A bundle whose model says which colour a clip has most of."""
    return write_any_bundle(
        folder, graph or colour_graph(), name="colours", spec=SPEC, labels=LABELS
    )


def colour_graph() -> onnx.GraphProto:
    shape = ["N", SPEC.num_frames, SPEC.crop, SPEC.crop, 3]
    axes = helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3])
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [1], np.array([0.1], np.float32))
    return helper.make_graph(
        [
            helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["embedding"], keepdims=0),
            helper.make_node("Mul", ["embedding", "scale"], ["logits"]),
        ],
        "colours",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, shape)],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3]),
        ],
        [axes, scale],
    )


@dataclass
class ServerProcess:
    """A running ``motionfit-serve``, and what it printed."""

    process: subprocess.Popen[str]
    temp: Path
    """The only folder that it may put temporary files into."""
    errors: Path
    """Its stderr, as a file."""
    printed: list[str] = field(default_factory=list)
    _lines: "queue.Queue[str]" = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def url(self) -> str:
        return self.wait_for(r"Listening on (http://\S+)")

    @property
    def log(self) -> str:
        return self.errors.read_text()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def connect(self) -> socket.socket:
        """A connection to it, with nothing sent yet."""
        return socket.create_connection(self.address, PATIENCE_SECONDS)

    def wait_ready(self) -> "ServerProcess":
        self.wait_for("(Ready)")
        return self

    def wait_for(self, pattern: str) -> str:
        """The first group of a line that was, or will be, printed."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := re.search(pattern, "\n".join(self.printed))):
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = ""
            if not line:
                pytest.fail(f"never printed {pattern!r}; stdout: {self.printed}\n{self.log}")
            self.printed.append(line.rstrip("\n"))
        return found[1]

    def children(self) -> list[int]:
        """Process ids of its decoding processes."""
        return sorted(child_processes(self.process.pid))

    def decoding(self) -> list[int]:
        """Process ids of those that hold a video."""
        return [pid for pid in self.children() if files_without_name(pid)]

    def videos(self) -> set[int]:
        """Uploads that it holds as files."""
        return files_without_name(self.process.pid)

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(sig)
        return self.process.wait(PATIENCE_SECONDS)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")


Start = Callable[..., "ServerProcess"]


def files_without_name(pid: int) -> set[int]:
    """The inodes of what a process has open and is in no folder; none when it is gone."""
    found = set()
    with suppress(FileNotFoundError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if os.readlink(path).endswith("(deleted)"):
                    found.add(path.stat().st_ino)
    return found


@contextmanager
def serving(
    *arguments: object,
    command: Path = COMMAND,
    tmpdir: Path | None = None,
    **settings: object,
) -> Iterator[ServerProcess]:
    """``motionfit-serve`` on a free port with a folder of its own for temporary files.

    ``settings`` are given as variables.
    """
    variables = {f"MOTIONFIT_{name.upper()}": str(value) for name, value in settings.items()}
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "stderr").open("w") as errors:
        temp = Path(folder) / "temp"
        temp.mkdir()
        process = subprocess.Popen(
            [command, "--port", "0", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"TMPDIR": str(tmpdir or temp)} | variables,
        )
        server = ServerProcess(process, temp=temp, errors=Path(errors.name))
        try:
            yield server
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """Processes that stand still meanwhile."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def head_of(length: int | None, *headers: str, path: str = "/classify") -> bytes:
    """The headers of a raw upload that declares ``length``, or nothing about its length."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: video/mp4", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def answer_on(connection: socket.socket) -> httpx.Response:
    """The next response that comes over a connection. Raises HTTPException when none does."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        return httpx.Response(
            response.status, headers=response.getheaders(), content=response.read()
        )
    finally:
        response.close()


def metric(server: ServerProcess, line: str) -> float:
    """The value of the metric that is written so, labels included; 0 when it is not there."""
    text = httpx.get(f"{server.url}/metrics", timeout=PATIENCE_SECONDS).text
    found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def classify(server: ServerProcess, video: bytes, query: str = "") -> httpx.Response:
    """The answer to ``video``, sent as the body."""
    url = f"{server.url}/classify{query}"
    return httpx.post(url, content=video, headers=RAW, timeout=PATIENCE_SECONDS)


def colour_video(colour: tuple[int, int, int]) -> bytes:
    """One second of a picture of one colour (R, G, B), as an MKV."""
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        picture = np.full((64, 64, 3), colour, np.uint8)
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def problem_of(response: httpx.Response) -> Problem:
    """The problem that a refusal's body is, checked for form."""
    assert response.headers["content-type"] == MEDIA_TYPE
    problem = Problem.model_validate(response.json())
    assert problem.status == response.status_code
    assert problem.type.endswith(problem.code)
    assert problem.detail
    assert "Traceback" not in problem.detail
    return problem


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("serving") / "bundle")


@pytest.fixture(scope="session")
def clip() -> bytes:
    return made_clip()


@pytest.fixture(scope="session")
def real_video() -> Path:
    """A video from a camera: the sample that ``make test`` fetches, or footage lying beside."""
    footage = (ROOT.parent / "shared" / "data" / "ucf101_10").rglob("*.mp4")
    found = [path for path in [ROOT / "build" / "bikes.mp4", *sorted(footage)] if path.is_file()]
    if not found:
        pytest.skip("no footage here; make clip  fetches a sample")
    return found[0]


@pytest.fixture(scope="session")
def server(bundle: Path) -> Iterator[ServerProcess]:
    """One server for all tests that leave it as they found it."""
    with serving("--bundle", bundle, "--max-upload-mib", 1) as running:
        yield running.wait_ready()


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
        yield client
