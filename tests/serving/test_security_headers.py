"""What browsers may do with the answers: little, unless it is allowed by name."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from motionfit.serving.app import create_app
from motionfit.serving.settings import Settings
from tests.serving.conftest import ServerProcess, problem_of, serving

ORIGIN = "https://app.example"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization",
}


@pytest.mark.parametrize("path", ["/", "/healthz", "/model", "/metrics", "/nothing", "/docs"])
def test_every_answer_has_the_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_refused_uploads_have_the_headers_too(client: httpx.Client) -> None:
    headers = client.post("/classify", content=b"x" * (1024**2 + 1)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_a_failure_of_the_server_has_the_headers_too(bundle: Path) -> None:
    async def answer() -> httpx.Response:
        app = create_app(Settings(bundle=bundle))
        async with app.router.lifespan_context(app):
            app.state.pipeline.require_ready = lambda: 1 / 0
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return await client.get("/readyz", headers={"x-request-id": "mine"})

    response = asyncio.run(answer())
    problem = problem_of(response)
    assert (problem.status, problem.code, problem.request_id) == (500, "internal-error", "mine")
    assert response.headers["x-request-id"] == "mine"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_page_runs_only_what_this_server_sends(client: httpx.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert "http" not in policy


def test_answers_of_the_interface_may_load_nothing(client: httpx.Client) -> None:
    policy = client.get("/model").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_pages_of_other_origins_may_not_ask(client: httpx.Client) -> None:
    answer = client.get("/model", headers={"origin": ORIGIN})
    preflight = client.options("/classify", headers=PREFLIGHT)
    for response in (answer, preflight):
        assert not [name for name in response.headers if name.startswith("access-control-")]
    assert preflight.status_code == 405


@pytest.fixture(scope="module")
def open_server(bundle: Path) -> Iterator[ServerProcess]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTIONFIT_CORS_ORIGINS", ORIGIN)
        with serving("--bundle", bundle) as running:
            yield running.wait_ready()


def test_pages_of_an_origin_that_was_named_may_ask(open_server: ServerProcess) -> None:
    preflight = httpx.options(f"{open_server.url}/classify", headers=PREFLIGHT)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    answer = httpx.get(f"{open_server.url}/model", headers={"origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()


def test_pages_of_any_other_origin_still_may_not(open_server: ServerProcess) -> None:
    other = {"origin": "https://app.example.evil"}
    assert (
        httpx.options(f"{open_server.url}/classify", headers=PREFLIGHT | other).status_code == 400
    )
    answer = httpx.get(f"{open_server.url}/model", headers=other)
    assert "access-control-allow-origin" not in answer.headers
