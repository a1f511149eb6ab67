"""The Python client, against real servers."""

import http.server
import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from motionfit.inference.bundle import Bundle
from motionfit.serving.client import Client, ProblemError, UnexpectedAnswer, Unreachable
from motionfit.serving.edge.key_file import add_key
from motionfit.serving.examples import EXAMPLE_ANSWER
from motionfit.serving.schemas import AnswerBody
from tests.serving.conftest import LABELS, ServerProcess, colour_video, serving

RED = (250, 0, 0)


@pytest.fixture
def asking(server: ServerProcess) -> Iterator[Client]:
    with Client(server.url) as asking:
        yield asking


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "red.mkv"
    path.write_bytes(colour_video(RED))
    return path


def same(answer: AnswerBody, other: AnswerBody) -> bool:
    return answer.model_dump(exclude={"timings_ms"}) == other.model_dump(exclude={"timings_ms"})


def test_path_file_and_pipe_get_the_answer_of_a_plain_request(
    asking: Client, client: httpx.Client, video: Path
) -> None:
    plain = client.post("/classify", files={"video": video.read_bytes()}).raise_for_status()
    expected = AnswerBody.model_validate_json(plain.content)
    assert expected.label == "red"
    assert same(asking.classify(video), expected)
    assert same(asking.classify(str(video)), expected)
    with video.open("rb") as file:
        assert same(asking.classify(file), expected)
    reading, writing = os.pipe()
    with open(writing, "wb") as end, open(reading, "rb") as pipe:
        threading.Thread(target=lambda: (end.write(video.read_bytes()), end.close())).start()
        assert same(asking.classify(pipe), expected)


def test_what_is_asked_for_is_answered(asking: Client, video: Path) -> None:
    answer = asking.classify(video, clips=2, top=1, start_seconds=0.2, end_seconds=0.9)
    assert (len(answer.clips), len(answer.top)) == (2, 1)
    assert answer.clips[0].start_seconds >= 0.2
    assert answer.clips[-1].end_seconds <= 0.9 + 1e-6
    assert answer.embedding is None
    assert answer.timeline is None
    answer = asking.classify(video, embedding=True, timeline=True, stride_seconds=0.1)
    assert answer.embedding is not None
    assert sum(part**2 for part in answer.embedding) == pytest.approx(1, abs=1e-4)
    assert answer.timeline is not None
    assert answer.timeline.stride_seconds == 0.1
    assert [segment.label for segment in answer.timeline.segments] == ["red"]


def test_progress_tells_each_byte(asking: Client) -> None:
    content = colour_video(RED) + b"\0" * 600_000
    told: list[int] = []
    asking.classify(io.BytesIO(content), progress=told.append)
    assert told == sorted(told)
    assert len(told) > 2
    assert told[-1] == len(content)


def test_a_file_is_sent_from_where_it_is(asking: Client) -> None:
    file = io.BytesIO(b"what came before" + colour_video(RED))
    file.seek(len(b"what came before"))
    assert asking.classify(file).label == "red"


def test_model_and_readiness(asking: Client, bundle: Path) -> None:
    assert asking.ready()
    model = asking.model()
    assert (model.labels, model.version) == (LABELS, Bundle.open(bundle).version)


def test_refusals_carry_their_problem(asking: Client) -> None:
    with pytest.raises(ProblemError, match="accepted are MP4") as refused:
        asking.classify(io.BytesIO(b"only words " * 10))
    assert (refused.value.problem.status, refused.value.problem.code) == (415, "not-a-video")
    assert refused.value.retry_after_seconds is None
    with pytest.raises(ProblemError) as refused:
        asking.classify(io.BytesIO(bytes(2 * 1024**2)))
    assert refused.value.problem.code == "upload-too-large"
    with pytest.raises(ProblemError) as refused:
        asking.classify(io.BytesIO(colour_video(RED)), top=0)
    assert refused.value.problem.code == "bad-parameter"


def test_a_key_opens_a_server_that_asks_for_one(bundle: Path, tmp_path: Path, video: Path) -> None:
    keys = tmp_path / "keys.json"
    key = add_key(keys, name="client", rate=None, concurrency=None, admin=False)
    with serving("--bundle", bundle, "--keys", keys) as server:
        url = server.wait_ready().url
        with Client(url, api_key=key) as client:
            assert client.classify(video).label == "red"
        with Client(url) as client, pytest.raises(ProblemError) as refused:
            client.classify(video)
        assert refused.value.problem.status == 401


def test_a_starting_server_is_waited_for(bundle: Path, video: Path) -> None:
    with serving("--bundle", bundle) as server, Client(server.url, retries=20) as client:
        assert client.classify(video).label == "red"


def test_nobody_there_is_said_so(video: Path) -> None:
    with Client("http://127.0.0.1:9") as client:
        assert not client.ready()
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9 cannot be reached: "):
            client.classify(video)
    with pytest.raises(Unreachable, match="is not an address"):
        Client("http://127.0.0.1:http")


def test_another_kind_of_server_is_said_so(video: Path) -> None:
    page = (200, {}, b"<html>hello</html>")
    with answering(page) as (url, _), Client(url) as client, pytest.raises(UnexpectedAnswer):
        client.classify(video)


def test_a_busy_server_is_asked_again_with_the_whole_file(video: Path) -> None:
    busy = (503, {"Retry-After": "0"}, problem(503, "overloaded"))
    limited = (429, {"Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT"}, problem(429, "rate-limited"))
    done = (200, {}, json.dumps(EXAMPLE_ANSWER | {"said_by_a_newer_server": 1}).encode())
    with answering(busy, limited, done) as (url, bodies), Client(url) as client:
        assert client.classify(video) == AnswerBody.model_validate(EXAMPLE_ANSWER)
    assert bodies == [video.read_bytes()] * 3


def test_no_more_tries_than_allowed_and_no_wait_that_is_too_long(video: Path) -> None:
    busy = (503, {"Retry-After": "0"}, problem(503, "overloaded"))
    with answering(busy, busy) as (url, bodies), Client(url, retries=1) as client:
        with pytest.raises(ProblemError) as refused:
            client.classify(video)
        assert (refused.value.retry_after_seconds, len(bodies)) == (0, 2)
    later = (503, {"Retry-After": "86400"}, problem(503, "overloaded"))
    with answering(later) as (url, bodies), Client(url) as client:
        with pytest.raises(ProblemError):
            client.classify(video)
        assert len(bodies) == 1


def problem(status: int, code: str) -> bytes:
    body = {"type": f"urn:x:{code}", "title": "no", "status": status, "code": code, "detail": "no"}
    return json.dumps(body).encode()


@contextmanager
def answering(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, in turn; its address, and the bodies it was sent."""
    bodies: list[bytes] = []
    left = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, body = left.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", bodies
        finally:
            server.shutdown()
            thread.join()
