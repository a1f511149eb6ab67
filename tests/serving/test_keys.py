"""API keys, as clients of a real server meet them."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from motionfit.serving.edge.key_file import add_key, remove_key
from tests.conftest import wait_until
from tests.serving.conftest import RAW, ServerProcess, problem_of, serving

CLOSED = ["/model", "/metrics", "/classify", "/reload", "/nothing", "/v2", "/healthz/", "/page"]
OPEN = ["/", "/healthz", "/readyz", "/docs", "/openapi.json"]


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A server that asks for keys."""

    server: ServerProcess
    path: Path
    """The file of the keys."""
    keys: dict[str, str]
    client: httpx.Client

    def get(self, path: str, *, key: str | None = None, **headers: str) -> httpx.Response:
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        return self.client.get(path, headers=headers)

    def post(self, path: str, *, key: str | None = None, content: bytes = b"") -> httpx.Response:
        headers = RAW | ({"authorization": f"Bearer {key}"} if key else {})
        return self.client.post(path, headers=headers, content=content)


@pytest.fixture(scope="module")
def guarded(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    path = tmp_path_factory.mktemp("keys") / "keys.json"

    def add(
        name: str, rate: str | None = None, concurrency: int | None = None, admin: bool = False
    ) -> str:
        return add_key(path, name=name, rate=rate, concurrency=concurrency, admin=admin)

    keys = {
        "plain": add("plain"),
        "rated": add("rated", rate="3/minute"),
        "quick": add("quick", rate="1 per 2 seconds"),
        "narrow": add("narrow", concurrency=1),
        "admin": add("admin", admin=True),
    }
    with serving("--bundle", bundle, "--keys", path) as running:
        url = running.wait_ready().url
        with httpx.Client(base_url=url, timeout=30) as client:
            yield Guarded(server=running, path=path, keys=keys, client=client)


@pytest.mark.parametrize("path", OPEN)
def test_what_probes_and_people_ask_first_is_open(guarded: Guarded, path: str) -> None:
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("path", CLOSED)
def test_everything_else_asks_for_a_key(guarded: Guarded, path: str) -> None:
    for response in (guarded.get(path), guarded.get(path, key="mf_" + "A" * 43)):
        problem = problem_of(response)
        assert (problem.status, problem.code) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
        assert "x-request-id" in response.headers
        assert "Authorization: Bearer" in problem.detail


def test_the_document_says_how_keys_are_sent(guarded: Guarded, client: httpx.Client) -> None:
    document = guarded.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"].values()
    assert {(scheme["type"], scheme.get("name")) for scheme in schemes} == {
        ("http", None),
        ("apiKey", "X-API-Key"),
    }
    assert document["paths"]["/readyz"]["get"]["security"] == []
    assert len(document["security"]) == 2
    assert "security" not in document["paths"]["/classify"]["post"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            closed = "security" not in operation
            assert ({"401", "429"} <= set(operation["responses"])) is closed, path
    assert "security" not in client.get("/openapi.json").json()


def test_a_key_is_taken_from_either_header(guarded: Guarded, clip: bytes) -> None:
    key = guarded.keys["plain"]
    assert guarded.get("/model", key=key).status_code == 200
    assert guarded.get("/model", **{"x-api-key": key}).status_code == 200
    assert guarded.get("/model", authorization=f"bearer {key}").status_code == 200
    assert guarded.post("/classify", key=key, content=clip).status_code == 200


def test_a_key_anywhere_else_is_no_key(guarded: Guarded) -> None:
    key = guarded.keys["plain"]
    for response in (
        guarded.get(f"/model?key={key}&api_key={key}"),
        guarded.get("/model", authorization=f"Basic {key}"),
        guarded.get("/model", authorization=key),
        guarded.get("/model", authorization="Bearer"),
        guarded.get("/model", authorization=f"Bearer {key[:-1]}"),
        guarded.get("/model", cookie=f"key={key}"),
    ):
        assert problem_of(response).code == "unauthorized"


def test_an_upload_without_a_key_is_told_so_and_not_looked_at(guarded: Guarded) -> None:
    response = guarded.post("/classify", content=b"x" * 3_000_000)
    assert problem_of(response).code == "unauthorized"


def test_more_requests_than_the_rate_are_refused_until_it_is_over(guarded: Guarded) -> None:
    key = guarded.keys["rated"]
    assert [guarded.get("/model", key=key).status_code for _ in range(3)] == [200] * 3
    response = guarded.get("/model", key=key)
    problem = problem_of(response)
    assert (problem.status, problem.code) == (429, "rate-limited")
    assert "3 per 1 minute" in problem.detail
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert guarded.get("/model", key=guarded.keys["plain"]).status_code == 200
    assert guarded.get("/healthz", key=key).status_code == 200


def test_who_waits_as_long_as_told_is_answered(guarded: Guarded) -> None:
    key = guarded.keys["quick"]
    while (response := guarded.get("/model", key=key)).status_code == 200:
        pass
    time.sleep(int(response.headers["retry-after"]))
    assert guarded.get("/model", key=key).status_code == 200


def test_more_requests_at_a_time_than_allowed_are_refused(guarded: Guarded, clip: bytes) -> None:
    key = guarded.keys["narrow"]
    address = urlsplit(guarded.server.url)
    head = (
        "POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\nConnection: close\r\n"
        f"X-API-Key: {key}\r\nContent-Length: {len(clip)}\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), address.port or 0), 30) as connection:
        connection.sendall(head.encode() + clip[:1000])
        wait_until(lambda: guarded.get("/model", key=key).status_code == 429)
        response = guarded.get("/model", key=key)
        assert problem_of(response).code == "rate-limited"
        assert int(response.headers["retry-after"]) >= 1
        connection.sendall(clip[1000:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    wait_until(lambda: guarded.get("/model", key=key).status_code == 200)


def test_a_client_that_goes_away_gives_its_place_back(guarded: Guarded) -> None:
    key = guarded.keys["narrow"]
    address = urlsplit(guarded.server.url)
    head = f"POST /classify HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: 9\r\n"
    with socket.create_connection((str(address.hostname), address.port or 0), 30) as connection:
        connection.sendall(f"{head}Content-Type: video/mp4\r\n\r\nabc".encode())
        wait_until(lambda: guarded.get("/model", key=key).status_code == 429)
    wait_until(lambda: guarded.get("/model", key=key).status_code == 200)


def test_only_an_admin_may_reload(guarded: Guarded) -> None:
    problem = problem_of(guarded.post("/reload", key=guarded.keys["plain"]))
    assert (problem.status, problem.code) == (403, "forbidden")
    assert "plain" in problem.detail
    assert guarded.post("/reload", key=guarded.keys["admin"]).status_code == 200


def test_nobody_may_reload_a_server_without_keys(client: httpx.Client) -> None:
    problem = problem_of(client.post("/reload"))
    assert (problem.status, problem.code) == (403, "forbidden")
    assert "SIGHUP" in problem.detail


def test_keys_that_were_added_and_removed_count_after_a_reload(guarded: Guarded) -> None:
    late = add_key(guarded.path, name="late", rate=None, concurrency=None, admin=False)
    gone = add_key(guarded.path, name="gone", rate=None, concurrency=None, admin=False)
    assert guarded.get("/model", key=late).status_code == 401
    guarded.server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: guarded.get("/model", key=late).status_code == 200)
    assert guarded.get("/model", key=gone).status_code == 200
    remove_key(guarded.path, name="gone")
    assert guarded.post("/reload", key=guarded.keys["admin"]).status_code == 200
    assert guarded.get("/model", key=gone).status_code == 401
    assert guarded.get("/model", key=late).status_code == 200


def test_a_damaged_key_file_leaves_the_keys_of_before(guarded: Guarded) -> None:
    whole = guarded.path.read_bytes()
    try:
        guarded.path.write_bytes(whole[:-20])
        problem = problem_of(guarded.post("/reload", key=guarded.keys["admin"]))
        assert (problem.status, problem.code) == (409, "reload-failed")
        assert "is damaged" in problem.detail
        assert guarded.get("/model", key=guarded.keys["plain"]).status_code == 200
    finally:
        guarded.path.write_bytes(whole)


def test_a_server_does_not_start_with_a_missing_key_file(bundle: Path, tmp_path: Path) -> None:
    with serving("--bundle", bundle, "--keys", tmp_path / "none.json") as server:
        assert server.process.wait(30) == 1
        assert server.log.startswith("error: the key file ")
        assert "motionfit-serve key" in server.log


def test_no_key_is_in_any_log_line_and_each_request_is_under_its_keys_name(
    guarded: Guarded,
) -> None:
    key = guarded.keys["plain"]
    guarded.get(f"/{key}", key=key)
    guarded.get(f"/{key}?key={key}", key=key, **{"x-request-id": key, "user-agent": key})
    guarded.get(f"/%0a{key}")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: guarded.get("/model", key=key), range(8)))
    wait_until(lambda: guarded.server.log.count('"/model"') >= 8)
    printed = guarded.server.log + "\n".join(guarded.server.printed)
    for secret in guarded.keys.values():
        assert secret not in printed
    assert "mf_***" in printed
    records = [json.loads(line) for line in guarded.server.log.splitlines()]
    assert "plain" in {record.get("key") for record in records}
    (settings,) = [record["settings"] for record in records if "settings" in record]
    assert settings["keys"] == str(guarded.path)
