"""More requests than can be answered: refused at once, and what was accepted is answered."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.conftest import wait_until
from tests.serving.conftest import (
    ServerProcess,
    answer_on,
    classify,
    head_of,
    metric,
    problem_of,
    serving,
    stopped,
)

DEPTH = "motionfit_queue_depth"
PATIENT = {"header_timeout_seconds": 600, "upload_idle_seconds": 600}


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[ServerProcess]:
    settings = {"decoders": 1, "queue_size": 2, "max_uploads": 3, "max_connections": 40}
    with serving("--bundle", bundle, decode_timeout_seconds=30, **PATIENT, **settings) as running:
        running.wait_ready()
        wait_until(lambda: len(running.children()) == 4)
        yield running


@contextmanager
def full_queue(server: ServerProcess, video: bytes) -> Iterator[list[Future[httpx.Response]]]:
    """Three requests, of which two wait, while all decoders stand still."""
    with ThreadPoolExecutor(3) as threads:
        with stopped(server.children()):
            answers = [threads.submit(classify, server, video) for _ in range(3)]
            wait_until(lambda: metric(server, DEPTH) == 2)
            yield answers
        assert [answer.result().status_code for answer in answers] == [200, 200, 200]


def test_full_queue_refuses_before_the_upload_and_answers_what_it_holds(
    server: ServerProcess, clip: bytes
) -> None:
    with full_queue(server, clip), server.connect() as connection:
        connection.sendall(head_of(500_000))
        refusal = answer_on(connection)
        assert problem_of(refusal).code == "overloaded"
        assert refusal.status_code == 503
        assert int(refusal.headers["retry-after"]) >= 1
        # Who sends it all the same may go on with the connection.
        connection.sendall(b"x" * 500_000 + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer_on(connection).status_code == 200
    assert metric(server, DEPTH) == 0
    assert metric(server, 'motionfit_rejections_total{cause="overloaded"}') >= 1


def test_upload_that_ends_when_the_queue_is_full_is_refused_after_its_last_byte(
    server: ServerProcess, clip: bytes
) -> None:
    with server.connect() as connection:
        connection.sendall(head_of(len(clip)) + clip[:-1])
        wait_until(lambda: metric(server, DEPTH) == 0)
        with full_queue(server, clip):
            connection.sendall(clip[-1:])
            assert problem_of(answer_on(connection)).code == "overloaded"
        wait_until(lambda: not server.videos())


def test_timelines_have_a_queue_of_their_own(server: ServerProcess, clip: bytes) -> None:
    wait_until(lambda: len(server.children()) == 4)
    with ThreadPoolExecutor(1) as thread, full_queue(server, clip):
        timeline = thread.submit(classify, server, clip, "?timeline=true")
        wait_until(lambda: len(server.videos()) == 4)
        assert problem_of(classify(server, clip)).code == "overloaded"
    assert timeline.result().status_code == 200


def test_deadline_that_passes_in_the_queue_and_in_the_decoder(
    server: ServerProcess, clip: bytes
) -> None:
    for _ in range(10):  # so that the server knows itself to be quick
        assert classify(server, clip).status_code == 200
    with ThreadPoolExecutor(2) as threads:
        with stopped(server.children()):
            first = threads.submit(classify, server, clip, "?deadline=6")
            wait_until(lambda: bool(server.videos()))
            time.sleep(0.1)  # from the file to the decoder, which cannot be seen from here
            second = threads.submit(classify, server, clip, "?deadline=1.2")
            waited, late = second.result(), first.result()
        assert problem_of(late).code == problem_of(waited).code == "deadline-exceeded"
        assert (late.status_code, waited.status_code) == (504, 503)
        assert int(waited.headers["retry-after"]) >= 1
    assert classify(server, clip, "?deadline=20").status_code == 200


@pytest.mark.parametrize("query", ["?deadline=31", "?timeline=true&deadline=601", "?deadline=nan"])
def test_deadline_is_no_longer_than_the_servers_own(server: ServerProcess, query: str) -> None:
    assert problem_of(classify(server, b"x", query)).code == "bad-parameter"


def test_when_all_uploads_have_only_begun_one_more_is_refused(
    server: ServerProcess, clip: bytes
) -> None:
    with ExitStack() as stack:
        uploads = [stack.enter_context(server.connect()) for _ in range(3)]
        for upload in uploads:
            upload.sendall(head_of(len(clip)) + clip[:1])
        refusal = problem_of(classify(server, clip))
        assert (refusal.status, refusal.code) == (503, "overloaded")
        assert "uploads" in refusal.detail
        for upload in uploads:
            upload.sendall(clip[1:])
        assert [answer_on(upload).status_code for upload in uploads] == [200, 200, 200]
    assert classify(server, clip).status_code == 200


def test_the_slowest_upload_makes_room_for_one_more(server: ServerProcess, clip: bytes) -> None:
    with ExitStack() as stack:
        uploads = [stack.enter_context(server.connect()) for _ in range(3)]
        for upload, sent in zip(uploads, (2000, 1, 1000), strict=True):
            upload.sendall(head_of(len(clip)) + clip[:sent])
        time.sleep(4)
        assert classify(server, clip).status_code == 200
        cut_off = problem_of(answer_on(uploads[1]))
        assert (cut_off.status, cut_off.code) == (408, "too-slow")
        for upload, sent in ((uploads[0], 2000), (uploads[2], 1000)):
            upload.sendall(clip[sent:])
            assert answer_on(upload).status_code == 200


def test_slow_uploads_on_an_idle_server_are_left_alone(server: ServerProcess, clip: bytes) -> None:
    with ExitStack() as stack:
        uploads = [stack.enter_context(server.connect()) for _ in range(2)]
        for upload in uploads:
            upload.sendall(head_of(len(clip)) + clip[:1])
        time.sleep(2.5)
        for _ in range(5):
            assert classify(server, clip).status_code == 200
        for upload in uploads:
            upload.sendall(clip[1:])
            assert answer_on(upload).status_code == 200


def test_when_all_connections_are_taken_an_idle_one_makes_room(
    server: ServerProcess, clip: bytes
) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(60)]
        assert classify(server, clip).status_code == 200
        for connection in idle[:20]:
            with suppress(ConnectionError):
                assert connection.recv(100) == b""
