"""The byte limit, seen from real clients: 413, and no endless reading."""

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.serving.conftest import RAW, ServerProcess, problem_of

LIMIT_BYTES = 1024**2


def pieces(total_bytes: int) -> Iterator[bytes]:
    for _ in range(total_bytes // 1024):
        yield b"x" * 1024


@pytest.mark.parametrize(
    "request_of",
    [
        lambda: {"content": b"x" * (LIMIT_BYTES + 1), "headers": RAW},
        lambda: {"content": pieces(LIMIT_BYTES + 1024), "headers": RAW},
        lambda: {"files": {"video": b"x" * LIMIT_BYTES}},
        lambda: {"files": {"other": b"x" * LIMIT_BYTES}},
    ],
    ids=["declared", "chunked", "form", "another field"],
)
def test_upload_over_the_limit_is_refused(client: httpx.Client, request_of: object) -> None:
    assert callable(request_of)
    problem = problem_of(client.post("/classify", **request_of()))
    assert (problem.status, problem.code) == (413, "upload-too-large")
    assert str(LIMIT_BYTES) in problem.detail


def test_upload_of_exactly_the_limit_is_read(client: httpx.Client) -> None:
    for body in (b"x" * LIMIT_BYTES, pieces(LIMIT_BYTES)):
        response = client.post("/classify", content=body, headers=RAW)
        assert problem_of(response).code == "not-a-video"


def test_client_that_waits_for_continue_never_sends_what_is_too_large(
    server: ServerProcess, tmp_path: Path
) -> None:
    (tmp_path / "large.mp4").write_bytes(b"x" * (2 * LIMIT_BYTES))
    done = subprocess.run(
        ["curl", "--silent", "--output", "body", "--write-out", "%{http_code} %{size_upload}"]
        + ["--header", "Expect: 100-continue", "--expect100-timeout", "10"]
        + ["--form", "video=@large.mp4", f"{server.url}/classify"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "413 0"


def test_client_that_sends_everything_first_still_sees_the_refusal(server: ServerProcess) -> None:
    for _ in range(10):
        connection = http.client.HTTPConnection(str(urlsplit(server.url).netloc), timeout=10)
        connection.request("POST", "/classify", body=b"x" * (2 * LIMIT_BYTES - 4096), headers=RAW)
        with connection.getresponse() as response:
            assert response.status == 413
            assert b"upload-too-large" in response.read()
        connection.close()


def test_client_that_will_close_sees_a_refusal_before_its_upload_is_over(
    server: ServerProcess,
) -> None:
    body = b"x" * (LIMIT_BYTES - 4096)
    for _ in range(10):
        response = httpx.post(
            f"{server.url}/classify?clips=0", content=body, headers=RAW | {"connection": "close"}
        )
        assert problem_of(response).code == "bad-parameter"


def test_endless_upload_is_cut_off_soon_after_the_limit(server: ServerProcess) -> None:
    address = urlsplit(server.url)
    head = "POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\n"
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0
    started = time.monotonic()
    with (
        socket.create_connection((str(address.hostname), address.port or 0), 10) as connection,
        suppress(ConnectionError),
    ):
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        while sent < 100 * LIMIT_BYTES:
            connection.sendall(piece)
            sent += len(piece)
    buffered_bytes = 8 * 1024**2  # of the sockets on both sides
    assert LIMIT_BYTES < sent <= 2 * LIMIT_BYTES + buffered_bytes
    assert time.monotonic() - started < 10


def test_length_that_is_a_lie_is_not_believed(server: ServerProcess) -> None:
    address = urlsplit(server.url)
    head = "POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\nConnection: close\r\n"
    with socket.create_connection((str(address.hostname), address.port or 0), 10) as connection:
        connection.sendall(f"{head}Content-Length: 10\r\n\r\n".encode() + b"x" * 20)
        assert connection.recv(65536).startswith(b"HTTP/1.1 4")
