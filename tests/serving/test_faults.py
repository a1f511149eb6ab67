"""What a machine does to a server: kills it, fills its disk, leaves it no descriptor."""

import os
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.conftest import running, wait_until
from tests.serving.conftest import ServerProcess, answer_on, classify, head_of, problem_of, serving

MIB = 1024**2


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def under_load(server: ServerProcess, video: bytes) -> Iterator[list[int]]:
    """Clients that ask until the end, and the statuses that they got so far."""
    statuses: list[int] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            with suppress(httpx.HTTPError):
                statuses.append(classify(server, video).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def test_server_killed_under_load_starts_again_on_its_port(bundle: Path, clip: bytes) -> None:
    port = free_port()
    with serving("--bundle", bundle, "--port", port) as server:
        server.wait_ready()
        with under_load(server, clip) as statuses:
            wait_until(lambda: len(statuses) > 20)
            children = server.children()
            assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        assert set(statuses) == {200}
        wait_until(lambda: not any(map(running, children)))
        assert list(server.temp.iterdir()) == []
    with serving("--bundle", bundle, "--port", port) as again:
        assert classify(again.wait_ready(), clip).status_code == 200


@contextmanager
def limited(server: ServerProcess, kind: int, value: int) -> Iterator[None]:
    """The server's process may have no more of something meanwhile."""
    before = resource.prlimit(server.process.pid, kind)
    resource.prlimit(server.process.pid, kind, (value, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, kind, before)


def clients_of(server: ServerProcess) -> int:
    """The connections that the server has not closed, also those that their clients have."""
    port, unclosed = httpx.URL(server.url).port, {"01", "08"}  # ESTABLISHED and CLOSE_WAIT
    _, *rows = Path(f"/proc/{server.process.pid}/net/tcp").read_text().splitlines()
    fields = (row.split() for row in rows)
    return sum(row[1].endswith(f":{port:04X}") and row[3] in unclosed for row in fields)


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[ServerProcess]:
    with serving("--bundle", bundle, decoders=1) as running_server:
        yield running_server.wait_ready()


def test_upload_that_does_not_fit_on_the_disk_is_a_problem_of_the_server(
    server: ServerProcess, clip: bytes
) -> None:
    with limited(server, resource.RLIMIT_FSIZE, MIB):
        for size in (MIB + 1, 3 * MIB):
            problem = problem_of(classify(server, b"x" * size))
            assert (problem.status, problem.code) == (507, "storage-full")
        assert classify(server, clip).status_code == 200
        wait_until(lambda: not server.videos())
    assert problem_of(classify(server, b"x" * 3 * MIB)).code == "not-a-video"


def test_full_disk(bundle: Path, clip: bytes, tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root alone")
    try:
        with serving("--bundle", bundle, decoders=1, tmpdir=tmp_path) as server:
            server.wait_ready()
            (tmp_path / "others").write_bytes(b"x" * (MIB - 8192))
            for _ in range(3):
                problem = problem_of(classify(server, b"x" * 2 * MIB))
                assert (problem.status, problem.code) == (507, "storage-full")
            assert httpx.get(f"{server.url}/readyz").status_code == 200
            (tmp_path / "others").unlink()
            assert classify(server, clip).status_code == 200
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_server_without_a_free_descriptor_lives_on(server: ServerProcess, clip: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(head_of(len(clip)) + clip[:10])
        assert classify(server, clip).status_code == 200
        wait_until(lambda: clients_of(server) == 1 and not server.videos())
        used = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        with limited(server, resource.RLIMIT_NOFILE, used):
            connection.sendall(clip[10:])
            refusal = answer_on(connection)
            assert problem_of(refusal).code == "overloaded"
            assert refusal.status_code == 503
    assert classify(server, clip).status_code == 200
