"""Requests that cannot be answered: each a problem with its own stable code."""

import asyncio
import io
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from motionfit.inference.errors import BackendError
from motionfit.serving.app import create_app
from motionfit.serving.settings import Settings
from tests.conftest import PATIENCE_SECONDS
from tests.serving.conftest import RAW, problem_of

FORM = {"content-type": "multipart/form-data; boundary=X"}
PART = b'--X\r\nContent-Disposition: form-data; name="video"; filename="a"\r\n\r\n%s\r\n'


def sound_only() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def huge_gif() -> bytes:
    size = (10_000).to_bytes(2, "little") * 2
    picture = b"," + b"\x00" * 4 + size + b"\x00" + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + size + b"\x80\x00\x00" + b"\x00" * 3 + b"\xff" * 3 + picture + b";"


BAD_REQUESTS: dict[str, tuple[int, str, dict[str, Any]]] = {
    "form without video": (400, "missing-video", {"files": {"other": b"x"}}),
    "empty video": (400, "missing-video", {"files": {"video": b""}}),
    "empty raw body": (400, "missing-video", {"content": b"", "headers": RAW}),
    "form cut off": (400, "bad-upload", {"content": PART % b"x", "headers": FORM}),
    "form of another boundary": (400, "bad-upload", {"content": b"--Y\r\n", "headers": FORM}),
    "form with two videos": (
        400,
        "bad-upload",
        {"content": PART % b"x" * 2 + b"--X--\r\n", "headers": FORM},
    ),
    "form of ten thousand parts": (
        400,
        "bad-upload",
        {"content": b"--X\r\n\r\n\r\n" * 10_000 + b"--X--\r\n", "headers": FORM},
    ),
    "form without boundary": (
        400,
        "bad-upload",
        {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
    ),
    "clips below": (400, "bad-parameter", {"params": {"clips": 0}, "content": b"", "headers": RAW}),
    "clips above": (400, "bad-parameter", {"params": {"clips": 17}, "headers": RAW}),
    "clips a word": (400, "bad-parameter", {"params": {"clips": "all"}, "headers": RAW}),
    "top below": (400, "bad-parameter", {"params": {"top": 0}, "headers": RAW}),
    "no content type": (415, "unsupported-media-type", {"content": b"x"}),
    "JSON": (415, "unsupported-media-type", {"json": {"video": "x"}}),
    "plain form": (415, "unsupported-media-type", {"data": {"video": "x"}}),
    "compressed body": (
        415,
        "unsupported-media-type",
        {"content": b"x", "headers": RAW | {"content-encoding": "gzip"}},
    ),
    "text": (415, "not-a-video", {"content": b"hello\n" * 500, "headers": RAW}),
    "playlist": (415, "not-a-video", {"content": b"#EXTM3U\n/etc/passwd\n", "headers": RAW}),
    "sound only": (422, "no-frames", {"content": sound_only(), "headers": RAW}),
    "10,000 pixels square": (422, "video-too-large", {"content": huge_gif(), "headers": RAW}),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_request_gets_a_problem_with_its_code(client: httpx.Client, name: str) -> None:
    status, code, request = BAD_REQUESTS[name]
    problem = problem_of(client.post("/classify", **request))
    assert (problem.status, problem.code) == (status, code)


def test_damaged_video_gets_a_problem(client: httpx.Client, clip: bytes) -> None:
    problem = problem_of(client.post("/classify", content=clip[: len(clip) // 2], headers=RAW))
    assert (problem.status, problem.code) == (422, "unreadable-video")


def test_problem_says_what_was_got_and_what_is_allowed(client: httpx.Client) -> None:
    problem = problem_of(client.post("/classify", params={"clips": 17}))
    assert "clips" in problem.detail
    assert "17" in problem.detail
    assert "16" in problem.detail
    problem = problem_of(client.post("/classify", content=b"x"))
    assert "missing" in problem.detail
    assert "curl -F video=@" in problem.detail


def test_unknown_path_and_method_are_problems_too(client: httpx.Client) -> None:
    assert problem_of(client.get("/nothing")).code == "not-found"
    response = client.get("/classify")
    assert problem_of(response).code == "method-not-allowed"
    assert response.headers["allow"] == "POST"


def test_server_answers_after_every_refusal(client: httpx.Client, clip: bytes) -> None:
    for _, _, request in BAD_REQUESTS.values():
        client.post("/classify", **request)
    assert client.post("/classify", content=clip, headers=RAW).status_code == 200


@pytest.mark.parametrize("error", [RuntimeError("/secret/path"), BackendError("/secret/path")])
def test_failure_of_the_server_shows_no_internals(
    bundle: Path, clip: bytes, error: Exception
) -> None:
    async def fail(*_: object) -> None:
        raise error

    async def answer() -> httpx.Response:
        app = create_app(Settings(bundle=bundle))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://server") as client,
        ):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await client.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.02)
            app.state.pipeline.engine.run = fail
            return await client.post("/classify", content=clip, headers=RAW)

    response = asyncio.run(answer())
    problem = problem_of(response)
    assert (problem.status, problem.code) == (500, "internal-error")
    assert "secret" not in response.text
