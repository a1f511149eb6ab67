import asyncio
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionfit.benchmarks.generator import LoadGenerator, all_requests
from motionfit.benchmarks.load_plan import KnownVideo, LoadPlan, Sent, fingerprint
from motionfit.benchmarks.load_step import fate_of
from motionfit.benchmarks.open_loop import plan_of, schedule
from motionfit.benchmarks.wire import Address, Connection, Request
from tests.benchmarks.stub_server import answer, serving_stub
from tests.conftest import child_processes


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[KnownVideo, ...]:
    """Two files of 100 kB whose last bytes are their labels."""
    folder = tmp_path_factory.mktemp("videos")
    for label in "ab":
        (folder / label).write_bytes(bytes(100_000) + label.encode())
    return tuple(
        KnownVideo(path=str(folder / label), fingerprint=fingerprint(answer(label)))
        for label in "ab"
    )


def plan(url: str, videos: tuple[KnownVideo, ...], **changes: Any) -> LoadPlan:
    values: dict[str, Any] = {
        "target": "/classify?clips=1",
        "headers": {},
        "arrivals": "poisson",
        "requests": 40,
        "rate": 200.0,
        "clients": 1000,
        "timeout_seconds": 30.0,
        "seed": 3,
    }
    return LoadPlan(url=url, videos=videos, **(values | changes))


def test_arrivals_are_those_of_independent_clients(videos: tuple[KnownVideo, ...]) -> None:
    times = schedule(plan("http://x", videos, requests=4000, rate=50.0))
    gaps = np.diff([at for at, _ in times])
    assert np.mean(gaps) == pytest.approx(1 / 50, rel=0.1)
    assert np.std(gaps) == pytest.approx(np.mean(gaps), rel=0.1)  # as exponential ones have it
    assert sum(video for _, video in times) == pytest.approx(2000, rel=0.1)
    assert times == schedule(plan("http://x", videos, requests=4000, rate=50.0))
    assert times != schedule(plan("http://x", videos, requests=4000, rate=50.0, seed=4))


def test_constant_arrivals_keep_a_beat(videos: tuple[KnownVideo, ...]) -> None:
    times = schedule(plan("http://x", videos, arrivals="constant", rate=4.0, requests=3))
    assert [at for at, _ in times] == [0.25, 0.5, 0.75]


def test_a_plan_survives_its_journey(videos: tuple[KnownVideo, ...]) -> None:
    sent = plan("http://x", videos, headers={"Authorization": "Bearer abc"})
    assert plan_of(json.dumps(asdict(sent))) == sent


@pytest.mark.parametrize("arrivals", ["poisson", "closed"])
def test_every_request_is_made_and_its_answer_checked(
    arrivals: str, videos: tuple[KnownVideo, ...]
) -> None:
    with serving_stub() as stub:
        sent, cpu_seconds = all_requests(plan(stub.url, videos, arrivals=arrivals, clients=8))
    assert len(sent) == 40
    assert {(one.status, one.right, one.error) for one in sent} == {(200, True, None)}
    assert {one.video for one in sent} == {0, 1}
    assert stub.asked == ["/classify?clips=1"] * 40
    for one in sent:
        assert one.sent_s is not None
        assert one.answered_s is not None
        assert one.scheduled_s - 0.01 <= one.started_s <= one.sent_s <= one.answered_s
    assert 0 < cpu_seconds < 5


def test_latency_counts_from_when_a_request_was_due(videos: tuple[KnownVideo, ...]) -> None:
    # 20 requests in a tenth of a second to a server that takes a twentieth for each. Clients that
    # waited for an answer before they asked again would see a twentieth every time.
    with serving_stub(work_seconds=0.05) as stub:
        sent, _ = all_requests(plan(stub.url, videos, requests=20))
        alone, _ = all_requests(plan(stub.url, videos, requests=20, arrivals="closed", clients=1))
    assert max(one.latency_ms for one in sent) > 800
    assert min(one.latency_ms for one in alone) < 500


def test_an_answer_to_somebody_else_is_noticed(videos: tuple[KnownVideo, ...]) -> None:
    with serving_stub(confused=True) as stub:
        sent, _ = all_requests(plan(stub.url, videos))
    wrong = [fate_of(one) == "wrong" for one in sent]
    assert any(wrong)
    assert not all(wrong)  # where two neighbours asked for the same video


def test_refusals_are_told_apart_with_their_code(videos: tuple[KnownVideo, ...]) -> None:
    with serving_stub(work_seconds=0.2, most_waiting=2) as stub:
        sent, _ = all_requests(plan(stub.url, videos, requests=20))
    refused = [one for one in sent if fate_of(one) == "refused"]
    assert {one.code for one in refused} == {"overloaded"}
    assert len(refused) >= 10
    assert all(one.right is None for one in refused)
    assert all(one.after_last_byte_ms <= one.latency_ms for one in refused)


@contextmanager
def listening(*, answers: bytes, after: int) -> Iterator[str]:
    """A server that reads some bytes of each request, sends ``answers`` and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    while after > 0 and len(connection.recv(after, socket.MSG_WAITALL)) < after:
                        pass
                    connection.sendall(answers)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_connection_without_an_answer_is_a_lost_request(videos: tuple[KnownVideo, ...]) -> None:
    for nothing in (b"", b"no HTTP at all\r\n\r\n"):
        with listening(answers=nothing, after=10) as url:
            sent, _ = all_requests(plan(url, videos, requests=3))
        assert [one.status for one in sent] == [None] * 3
        assert all(one.error for one in sent)
        assert {fate_of(one) for one in sent} == {"failed"}


def test_tls_is_spoken_and_the_certificate_checked(
    videos: tuple[KnownVideo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    pem = tmp_path / "both.pem"
    options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=stub"
    address = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pem, "-out", tmp_path / "c.pem"]
    subprocess.run(["openssl", *options.split(), *address], check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + (tmp_path / "c.pem").read_bytes())
    with serving_stub(certificate=pem) as stub:
        strange, _ = all_requests(plan(stub.url, videos, requests=2))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "c.pem"))
        sent, _ = all_requests(plan(stub.url, videos, arrivals="closed", clients=2))
    assert all("certificate" in (one.error or "") for one in strange)
    assert [one.right for one in sent] == [True] * 40


def test_nobody_there_is_a_lost_request(videos: tuple[KnownVideo, ...]) -> None:
    sent, _ = all_requests(plan("http://127.0.0.1:9", videos, requests=2))
    assert all("9" in (one.error or "") for one in sent)


def test_no_more_requests_than_allowed_are_under_way(videos: tuple[KnownVideo, ...]) -> None:
    with serving_stub(work_seconds=2) as stub:
        sent, _ = all_requests(plan(stub.url, videos, requests=10, rate=1000.0, clients=1))
    lost = [one.error for one in sent if one.error]
    assert lost == ["not sent: 1 requests are under way"] * 9


def test_an_answer_before_the_end_of_the_upload_is_taken() -> None:
    refusal = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"

    async def ask(url: str) -> Any:
        connection = await Connection.open(Address.of(url))
        pieces = [b"POST / HTTP/1.1\r\n\r\n", 60.0, b"never sent"]
        begin = time.perf_counter()
        exchange = await connection.ask(pieces)
        connection.abort()
        return exchange, time.perf_counter() - begin, connection.reusable

    with listening(answers=refusal, after=10) as url:
        exchange, seconds, reusable = asyncio.run(ask(url))
    assert (exchange.status, exchange.body, reusable) == (503, b"{}", False)
    assert seconds < 30


def test_bodies_are_sent_in_chunks() -> None:
    address = Address.of("https://host/below/")
    assert Address.of("http://[::1]:80").authority == "[::1]:80"
    assert (address.port, address.path, address.secure) == (443, "/below", True)
    request = Request.form(address, "/classify", video=bytes(200_000), headers={"X-A": "b"})
    pieces = list(request.pieces())
    assert len(pieces) == 4
    whole = b"".join(bytes(piece) for piece in pieces if not isinstance(piece, float))
    assert whole == request.head + request.body
    assert request.head.startswith(b"POST /below/classify HTTP/1.1\r\nHost: host\r\n")
    assert f"Content-Length: {len(request.body)}\r\n".encode() in request.head
    assert b"\r\nX-A: b\r\n" in request.head


@pytest.mark.parametrize("url", ["host:80", "ftp://host", "http://", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no address of a server"):
        Address.of(url)


def test_stopping_leaves_no_process(videos: tuple[KnownVideo, ...], tmp_path: Path) -> None:
    before = child_processes()
    with serving_stub(work_seconds=0.3) as stub:
        generator = LoadGenerator(plan(stub.url, videos, requests=500, rate=20.0))
        with closing(generator.requests()) as requests:
            first: Sent = next(requests)
        assert first.right
    assert generator.cpu_seconds is None
    assert child_processes() == before
