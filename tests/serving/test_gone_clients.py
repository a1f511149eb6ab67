"""A client that goes away stops its own work: in its upload, in the queue, in the decoder."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.conftest import PATIENCE_SECONDS, wait_until
from tests.serving.conftest import RAW, ServerProcess, head_of, metric, serving, stopped

CANCELLED = 'motionfit_decoder_restarts_total{reason="cancelled"}'
DEPTH = "motionfit_queue_depth"


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[ServerProcess]:
    """A server that would decode for ten minutes."""
    settings = {"decode_timeout_seconds": 600, "deadline_seconds": 600, "decoders": 1}
    with serving("--bundle", bundle, **settings) as running:
        yield running.wait_ready()


@pytest.fixture(autouse=True)
def idle_before_and_after(server: ServerProcess, clip: bytes) -> Iterator[None]:
    def idle() -> bool:
        return len(server.children()) == 4 and not server.videos() and not server.decoding()

    wait_until(idle)
    yield
    answer = httpx.post(f"{server.url}/classify", content=clip, headers=RAW, timeout=60)
    assert answer.status_code == 200
    wait_until(idle)
    assert metric(server, DEPTH) == 0
    assert "Traceback" not in server.log


def asking(server: ServerProcess, video: bytes, query: str = "") -> socket.socket:
    """A connection over which ``video`` was sent whole."""
    connection = server.connect()
    connection.sendall(head_of(len(video), path=f"/classify{query}") + video)
    return connection


def close(connection: socket.socket) -> None:
    connection.close()


def shut_down_sending(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("leave", [close, shut_down_sending])
def test_in_the_upload(server: ServerProcess, leave: object) -> None:
    assert callable(leave)
    with server.connect() as connection:
        connection.sendall(head_of(9_000_000) + b"x" * 3_000_000)
        wait_until(lambda: bool(server.videos()))
        leave(connection)
        wait_until(lambda: not server.videos())


def test_in_the_queue(server: ServerProcess, clip: bytes) -> None:
    with stopped(server.children()), ExitStack() as stack:
        clients = [stack.enter_context(asking(server, clip)) for _ in range(3)]
        wait_until(lambda: metric(server, DEPTH) == 2)
        assert len(server.videos()) == 3
        clients[1].close()
        wait_until(lambda: metric(server, DEPTH) == 1 and len(server.videos()) == 2)
        clients[2].close()
        wait_until(lambda: metric(server, DEPTH) == 0 and len(server.videos()) == 1)


@pytest.mark.parametrize("leave", [close, shut_down_sending])
@pytest.mark.parametrize("query", ["", "?timeline=true&stride=5"])
def test_in_mid_decode(server: ServerProcess, slow_video: Path, query: str, leave: object) -> None:
    assert callable(leave)
    cancelled = metric(server, CANCELLED)
    with asking(server, slow_video.read_bytes(), query) as connection:
        wait_until(lambda: bool(server.decoding()))
        leave(connection)
        wait_until(lambda: not server.decoding())
    wait_until(lambda: metric(server, CANCELLED) == cancelled + 1)


def test_decoder_whose_client_left_does_not_keep_the_next_one_waiting(
    server: ServerProcess, slow_video: Path, clip: bytes
) -> None:
    with asking(server, slow_video.read_bytes()) as gone:
        wait_until(lambda: bool(server.decoding()))
        with asking(server, clip) as waiting:
            wait_until(lambda: metric(server, DEPTH) == 1)
            gone.close()
            assert waiting.recv(12) == b"HTTP/1.1 200"


def test_answer_that_nobody_waits_for_is_logged_as_such(
    server: ServerProcess, slow_video: Path
) -> None:
    with asking(server, slow_video.read_bytes(), "?top=7"):
        wait_until(lambda: bool(server.decoding()))
    wait_until(lambda: '"status": 499' in server.log, seconds=PATIENCE_SECONDS)
