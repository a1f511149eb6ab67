"""Who may ask: API keys, each with its rate and the requests that it may have at a time."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from motionfit.serving.edge.key_file import Key, KeyFile, rate_of
from motionfit.serving.errors import RateLimited, RequestError, Unauthorized
from motionfit.serving.problems import problem_response

_OPEN = frozenset(
    ["/", "/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"]
    + ["/v2/health/live", "/v2/health/ready"]
)
_HOW = "send it as  Authorization: Bearer KEY  or  X-API-Key: KEY"
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_BUSY_SECONDS = 1.0


class Keys:
    """The keys that are known now, and what each of them has asked for lately."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises KeyFileError."""
        self.path = path
        self.file = KeyFile.read(path)
        """May be replaced at any time; counts go on by the keys' names."""
        self._rates = MovingWindowRateLimiter(MemoryStorage())
        self._active: Counter[str] = Counter()

    def admit(self, presented: str | None) -> Key:
        """The key, counted as in use until it is released. Raises Unauthorized, RateLimited."""
        if presented is None:
            raise Unauthorized(f"this server asks for an API key: {_HOW}")
        key = self.file.find(presented)
        if key is None:
            raise Unauthorized(f"the API key is not known here; {_HOW}")
        self._check_concurrency(key)
        self._check_rate(key)
        self._active[key.name] += 1
        return key

    def release(self, key: Key) -> None:
        """A request that was admitted with ``key`` is over."""
        self._active[key.name] -= 1

    def _check_concurrency(self, key: Key) -> None:
        if key.concurrency is not None and self._active[key.name] >= key.concurrency:
            raise RateLimited(
                f"the key {key.name} may have {key.concurrency} requests at a time, and has them",
                retry_after_seconds=_BUSY_SECONDS,
            )

    def _check_rate(self, key: Key) -> None:
        if key.rate is None:
            return
        rate = rate_of(key.rate)
        if not self._rates.hit(rate, key.name):
            free_at = self._rates.get_window_stats(rate, key.name).reset_time
            raise RateLimited(
                f"the key {key.name} may ask {rate}, and did",
                retry_after_seconds=max(0.0, free_at - time.time()),
            )


class KeyGuard:
    """ASGI middleware: a request without a known key is refused, but for a few open paths.

    The key is left in the request's state as ``key``. Bodies are not read here.
    """

    def __init__(self, app: ASGIApp, *, keys: Keys) -> None:
        self.app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_open(scope["path"]):
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        try:
            key = self._keys.admit(_presented(Headers(scope=scope)))
        except RequestError as error:
            state["problem"] = error.code
            await problem_response(error)(scope, receive, send)
            return
        state["key"] = key
        try:
            await self.app(scope, receive, send)
        finally:
            self._keys.release(key)


def describe_keys(app: FastAPI) -> None:
    """Say in the OpenAPI document how a key is sent, and which paths refuse those without one."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        document["components"]["securitySchemes"] = _SCHEMES
        document["security"] = [{name: []} for name in _SCHEMES]
        asking = document["paths"]["/classify"]["post"]["responses"]
        refusals = {status: asking[status] for status in ("401", "429")}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                if _is_open(path):
                    operation["security"] = []
                else:
                    operation["responses"] = refusals | operation["responses"]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith("/page/")


def _presented(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")
