"""Clients that dawdle, flood, or hang half open: cut off, while others are answered."""

import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from motionfit.serving.edge.protocol import MAX_HEADER_BYTES
from tests.conftest import PATIENCE_SECONDS, wait_until
from tests.serving.conftest import (
    RAW,
    ServerProcess,
    answer_on,
    head_of,
    metric,
    problem_of,
    serving,
)

OPEN_FILES = "process_open_fds"
MANY = 1000


@contextmanager
def many_files() -> Iterator[None]:
    """Lets this process have many connections open."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture(scope="module")
def impatient(bundle: Path) -> Iterator[ServerProcess]:
    settings = {
        "decoders": 1,
        "header_timeout_seconds": 1,
        "upload_idle_seconds": 2,
        "upload_seconds": 6,
        "response_seconds": 1,
    }
    with serving("--bundle", bundle, **settings) as running:
        yield running.wait_ready()


def good_request(server: ServerProcess, video: bytes) -> None:
    url = f"{server.url}/classify"
    httpx.post(url, content=video, headers=RAW, timeout=PATIENCE_SECONDS).raise_for_status()


def drip(connection: socket.socket, piece: bytes) -> None:
    """Send a little, five times a second, until the server has had enough."""
    connection.settimeout(0.2)
    end = time.monotonic() + PATIENCE_SECONDS
    with suppress(ConnectionError):
        while time.monotonic() < end:
            connection.sendall(piece)
            with suppress(TimeoutError):
                if connection.recv(1, socket.MSG_PEEK) is not None:
                    break
    connection.settimeout(PATIENCE_SECONDS)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has hung up, after what was read so far."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def silence(connection: socket.socket) -> None:
    pass


def some_headers(connection: socket.socket) -> None:
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")


def endless_headers(connection: socket.socket) -> None:
    drip(connection, b"X-More: x\r\n")


def a_second_request(connection: socket.socket) -> None:
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer_on(connection).status_code == 200
    drip(connection, b"X")


@pytest.mark.parametrize("dawdle", [silence, some_headers, a_second_request])
def test_headers_that_do_not_come_are_cut_off(
    impatient: ServerProcess, dawdle: Callable[[socket.socket], None]
) -> None:
    with impatient.connect() as connection:
        dawdle(connection)
        refusal = answer_on(connection)
        assert problem_of(refusal).code == "too-slow"
        assert refusal.status_code == 408
        assert is_closed(connection)


def test_headers_that_never_end_are_cut_off(impatient: ServerProcess) -> None:
    with impatient.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        endless_headers(connection)
        assert problem_of(answer_on(connection)).code == "too-slow"


@pytest.mark.parametrize(
    ("piece", "why"), [(b"", "paused for more than 2 s"), (b"x", "more than 6 s")]
)
def test_slow_upload_is_cut_off(impatient: ServerProcess, piece: bytes, why: str) -> None:
    with impatient.connect() as connection:
        connection.sendall(head_of(900_000) + b"x" * 1000)
        drip(connection, piece) if piece else None
        refusal = answer_on(connection)
        problem = problem_of(refusal)
        assert (problem.status, problem.code) == (408, "too-slow")
        assert why in problem.detail
        assert is_closed(connection)


def test_body_that_goes_on_after_its_refusal_is_cut_off(impatient: ServerProcess) -> None:
    with impatient.connect() as connection:
        connection.sendall(head_of(900_000, path="/classify?clips=0"))
        assert problem_of(answer_on(connection)).code == "bad-parameter"
        drip(connection, b"x")
        assert is_closed(connection)


def test_client_that_does_not_read_its_answers_is_cut_off(impatient: ServerProcess) -> None:
    before = metric(impatient, OPEN_FILES)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(impatient.address)
        with suppress(ConnectionError, TimeoutError):
            connection.settimeout(0.5)
            for _ in range(2000):
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
        wait_until(lambda: metric(impatient, OPEN_FILES) <= before)
        connection.settimeout(PATIENCE_SECONDS)
        with suppress(ConnectionError):
            while connection.recv(65536):
                pass


@pytest.mark.parametrize(
    "flood",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n" % (b"x" * 10 * MAX_HEADER_BYTES),
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n%s\r\n" % (b"X-More: x\r\n" * MAX_HEADER_BYTES),
        b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 4 * MAX_HEADER_BYTES),
        b"x" * 4 * MAX_HEADER_BYTES,
    ],
    ids=["a long one", "many", "a long path", "no end of line"],
)
def test_flood_of_headers_is_refused(impatient: ServerProcess, flood: bytes) -> None:
    with impatient.connect() as connection:
        with suppress(ConnectionError):
            connection.sendall(flood)
        with suppress(ConnectionError):  # it hangs up while the rest is on its way
            refusal = answer_on(connection)
            assert refusal.status_code in {400, 431}
            assert problem_of(refusal).code in {"bad-request", "headers-too-large"}


def test_refused_connections_are_counted_and_logged_in_few_lines(bundle: Path) -> None:
    settings = {"decoders": 1, "header_timeout_seconds": 2, "max_connections": 40}
    with serving("--bundle", bundle, **settings) as server, ExitStack() as stack:
        server.wait_ready()
        kept = stack.enter_context(server.connect())
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer_on(kept).status_code == 200
        ids = set()
        for _ in range(50):
            with server.connect() as connection:
                connection.sendall(b"no HTTP\r\n\r\n")
                refusal = answer_on(connection)
            assert refusal.headers["x-content-type-options"] == "nosniff"
            assert refusal.headers["content-security-policy"].startswith("default-src 'none'")
            ids.add(problem_of(refusal).request_id)
            assert refusal.headers["x-request-id"] in ids
        assert len(ids) == 50
        late = stack.enter_context(server.connect())
        late.sendall(b"GET /healthz")
        assert answer_on(late).status_code == answer_on(kept).status_code == 408
        wait_until(lambda: "connections refused: 1, too-slow" in server.log)
        assert metric(server, 'motionfit_rejections_total{cause="bad-request"}') == 50
        assert metric(server, 'motionfit_rejections_total{cause="too-slow"}') == 1
        assert metric(server, 'motionfit_responses_total{route="other",status="400"}') == 50
        records = [json.loads(line) for line in server.log.splitlines() if "refused:" in line]
    floods = [record for record in records if record["problem"] == "bad-request"]
    assert sum(record["count"] for record in floods) == 50
    assert 1 <= len(floods) < 10
    assert {first["request_id"] for record in floods for first in record["first"]} <= ids
    assert floods[0]["first"][0]["client"] == "127.0.0.1"


def test_a_thousand_open_connections_do_not_keep_a_good_request_waiting(
    server: ServerProcess, clip: bytes
) -> None:
    before = metric(server, OPEN_FILES)
    with many_files(), ExitStack() as stack:
        for index in range(MANY):
            connection = stack.enter_context(server.connect())
            if index % 3 == 1:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Half")
            elif index % 3 == 2:
                connection.shutdown(socket.SHUT_WR)
        assert metric(server, OPEN_FILES) >= before + MANY / 2
        for _ in range(3):
            good_request(server, clip)
    wait_until(lambda: metric(server, OPEN_FILES) < before + 20)


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HT", head_of(100), head_of(100) + b"x" * 50, head_of(None, "Expect: x")],
    ids=["nothing", "half a line", "no body", "half a body", "no length"],
)
def test_half_closed_connection_is_closed(server: ServerProcess, sent: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
