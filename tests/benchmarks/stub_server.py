"""A server in this process that answers, refuses and errs as it is told."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SHA = "ab" * 32
PATIENCE_SECONDS = 30.0


@dataclass(kw_only=True)
class Stub:
    """What the server does, and what it was asked. A video's label is its last byte."""

    work_seconds: float = 0.0
    """Of each answer, one after the other."""
    most_waiting: int = 1000
    """One more is refused at once."""
    key: str | None = None
    """Wanted from everybody."""
    confused: bool = False
    """Answers with the label of the request before."""
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """Paths with their queries."""
    _waiting: int = 0
    _last: str = "nothing"

    def app(self) -> Starlette:
        """The application."""
        self._working = asyncio.Lock()
        return Starlette(
            routes=[
                Route("/classify", self.classify, methods=["POST"]),
                Route("/model", self.model),
            ]
        )

    async def model(self, request: Request) -> Response:
        if self._unknown(request):
            return _problem(401, "unauthorized")
        return JSONResponse({"name": "stub", "files": {"model.onnx": SHA}})

    async def classify(self, request: Request) -> Response:
        self.asked.append(f"{request.url.path}?{request.url.query}")
        if self._unknown(request):
            return _problem(401, "unauthorized")
        if self._waiting >= self.most_waiting:
            return _problem(503, "overloaded")
        self._waiting += 1
        try:
            label = (await request.body()).split(b"\r\n--")[-2][-1:].decode()
            async with self._working:
                await asyncio.sleep(self.work_seconds)
        finally:
            self._waiting -= 1
        shown, self._last = (self._last if self.confused else label), label
        return JSONResponse(answer(shown))

    def _unknown(self, request: Request) -> bool:
        return self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}"


def answer(label: str) -> dict[str, Any]:
    """What a motionfit server would answer, as far as a load test looks at it."""
    video = {
        "container": "mov",
        "codec": "h264",
        "width": 64,
        "height": 48,
        "frame_rate": 25.0,
        "duration_seconds": 1.0,
        "notes": [],
    }
    clips = [{"start_seconds": 0, "end_seconds": 1}]
    return {
        "label": label,
        "video": video,
        "clips": clips,
        "top": [{"label": label, "score": 0.75}],
    }


def _problem(status: int, code: str) -> Response:
    return JSONResponse({"code": code, "detail": f"because it is {code}"}, status)


@contextmanager
def serving_stub(*, certificate: Path | None = None, **behaviour: Any) -> Iterator[Stub]:
    """The server, on a free port of 127.0.0.1; by TLS with a PEM file of certificate and key."""
    stub = Stub(**behaviour)
    config = uvicorn.Config(
        stub.app(), port=0, log_level="critical", ws="none", ssl_certfile=certificate
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not server.started:
        assert time.monotonic() < deadline, "the stub did not start"
        time.sleep(0.01)
    scheme = "https" if certificate else "http"
    port = server.servers[0].sockets[0].getsockname()[1]
    stub.url = f"{scheme}://127.0.0.1:{port}"
    try:
        yield stub
    finally:
        server.should_exit = server.force_exit = True
        thread.join(PATIENCE_SECONDS)
