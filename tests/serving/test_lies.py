"""Requests that lie about their length, and forms that break the rules: refused, and no harm."""

import http.client
import socket
from contextlib import suppress

import httpx
import pytest

from tests.conftest import PATIENCE_SECONDS, wait_until
from tests.serving.conftest import RAW, ServerProcess, answer_on, head_of

LENGTHS = {
    "negative": head_of(-5),
    "no number": head_of(None, "Content-Length: many"),
    "a sum": head_of(None, "Content-Length: 5+5"),
    "hexadecimal": head_of(None, "Content-Length: 0x10"),
    "in other digits": "POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: ٣\r\n\r\n".encode(),
    "two": head_of(5, "Content-Length: 6"),
    "two in one": head_of(None, "Content-Length: 5, 6"),
    "beside chunks": head_of(5, "Transfer-Encoding: chunked"),
    "beyond all numbers": head_of(10**30),
    "unknown coding": head_of(None, "Transfer-Encoding: gzip, chunked"),
    "no chunk": head_of(None, "Transfer-Encoding: chunked") + b"hello\r\n",
    "endless chunk size": head_of(None, "Transfer-Encoding: chunked") + b"1" * 5000 + b"\r\n",
    "negative chunk": head_of(None, "Transfer-Encoding: chunked") + b"-1\r\nx\r\n",
    "chunk longer than its size": head_of(None, "Transfer-Encoding: chunked") + b"1\r\nxyz\r\n",
}


def statuses_of(server: ServerProcess, sent: bytes) -> list[int]:
    """The statuses that a connection gets for what is sent, until it is closed."""
    found = []
    with server.connect() as connection, suppress(ConnectionError, http.client.HTTPException):
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while True:
            found.append(answer_on(connection).status_code)
    return found


@pytest.mark.parametrize("name", LENGTHS)
def test_length_that_makes_no_sense_is_refused(server: ServerProcess, name: str) -> None:
    with server.connect() as connection, suppress(ConnectionError):
        connection.sendall(LENGTHS[name] + b"x" * 10)
        assert 400 <= answer_on(connection).status_code < 500


def test_body_shorter_than_its_length_gets_no_answer_and_leaves_nothing(
    server: ServerProcess, clip: bytes
) -> None:
    assert statuses_of(server, head_of(len(clip) + 1) + clip) == []
    wait_until(lambda: not server.videos())


def test_rest_of_a_body_longer_than_its_length_is_no_second_video(
    server: ServerProcess, clip: bytes
) -> None:
    with server.connect() as connection:
        connection.sendall(head_of(len(clip)) + clip + clip)
        statuses = [answer_on(connection).status_code]
        with suppress(ConnectionError, http.client.HTTPException):
            while True:
                statuses.append(answer_on(connection).status_code)
    assert statuses in ([200], [200, 400])


def test_body_in_tiny_chunks_is_refused(server: ServerProcess) -> None:
    with server.connect() as connection, suppress(ConnectionError):
        head = head_of(None, "Transfer-Encoding: chunked")
        connection.sendall(head + b"1\r\nx\r\n" * 20_000)
        assert answer_on(connection).status_code == 400


def test_body_in_small_chunks_is_read(server: ServerProcess, clip: bytes) -> None:
    pieces = (clip[start : start + 300] for start in range(0, len(clip), 300))
    url = f"{server.url}/classify"
    assert httpx.post(url, content=pieces, headers=RAW, timeout=60).status_code == 200


def test_requests_sent_without_waiting_are_answered_one_after_the_other(
    server: ServerProcess, clip: bytes
) -> None:
    with server.connect() as connection:
        wrong = head_of(200_000) + b"x" * 200_000
        connection.sendall((head_of(len(clip)) + clip + wrong) * 2)
        assert [answer_on(connection).status_code for _ in range(4)] == [200, 415, 200, 415]


def part(name: str, content: bytes, *, boundary: str = "X", headers: str = "") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"'
    return f"--{boundary}\r\n{disposition}\r\n{headers}\r\n".encode() + content + b"\r\n"


NESTED = part("inner", b"x", boundary="Y") + b"--Y--"
FORMS = {
    "nested": part("video", NESTED, headers="Content-Type: multipart/mixed; boundary=Y\r\n")
    + b"--X--\r\n",
    "ten thousand parts": b"".join(part(f"p{i}", b"") for i in range(10_000)) + b"--X--\r\n",
    "ten thousand videos": part("video", b"x") * 10_000 + b"--X--\r\n",
    "huge header of a part": part("video", b"x", headers="X-Long: " + "x" * 500_000 + "\r\n"),
    "many headers of a part": part("video", b"x", headers="X: y\r\n" * 50_000) + b"--X--\r\n",
    "endless name": part("video" * 50_000, b"x") + b"--X--\r\n",
    "line feeds alone": b'--X\nContent-Disposition: form-data; name="video"\n\nx\n--X--\n',
    "no headers": b"--X\r\n\r\nx\r\n--X--\r\n",
    "header without colon": b"--X\r\nname=video\r\n\r\nx\r\n--X--\r\n",
    "boundary that goes on": b"--XX\r\n\r\nx\r\n--XX--\r\n",
    "only boundaries": b"--X\r\n" * 20_000,
    "only ends": b"--X--\r\n" * 20_000,
    "near boundaries": b"--X\r\n\r\n" + b"\r\n--\r\n-" * 100_000,
    "zeros": b"\x00" * 900_000,
}


@pytest.mark.parametrize("name", FORMS)
def test_malformed_form_is_refused(server: ServerProcess, name: str) -> None:
    with server.connect() as connection:
        form = "Content-Type: multipart/form-data; boundary=X"
        head = head_of(len(FORMS[name]), form).replace(b"Content-Type: video/mp4\r\n", b"")
        connection.sendall(head + FORMS[name])
        assert answer_on(connection).status_code in {400, 415}
    wait_until(lambda: not server.videos())


@pytest.mark.parametrize(
    "boundary", ["", '""', '"', "x" * 5000, "\x00", "a;b", '"a\\"b"', "'", "é", "=", "\t"]
)
def test_strange_boundary_is_refused(server: ServerProcess, boundary: str) -> None:
    with server.connect() as connection, suppress(ConnectionError):
        form = f"Content-Type: multipart/form-data; boundary={boundary}"
        head = head_of(4, form).replace(b"Content-Type: video/mp4\r\n", b"")
        connection.sendall(head + b"--x\n")
        assert answer_on(connection).status_code == 400


def test_good_request_is_answered_after_all_of_them(server: ServerProcess, clip: bytes) -> None:
    for sent in LENGTHS.values():
        statuses_of(server, sent)
    url = f"{server.url}/classify"
    answer = httpx.post(url, content=clip, headers=RAW, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 200
    assert "Traceback" not in server.log
