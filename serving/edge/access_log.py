"""One log record and one count for each request, whatever became of it."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motionfit.serving.metrics import OTHER, Metrics
from motionfit.serving.problems import other_problem, respond

log = logging.getLogger("motionfit.access")
CLIENT_WENT_AWAY = 499
"""The status that is counted and logged, though nobody sees it."""
_LONGEST_PATH = 200
_FAILED = other_problem(
    500,
    code="internal-error",
    title="The server failed",
    detail="the server failed; its log says why. Trying again may help",
)


class AccessLog:
    """ASGI middleware: counts and logs requests; an exception becomes a problem of status 500.

    Starlette would answer it outside of all middlewares, so without the request's id and the
    security headers.

    What routes leave in the request's state is told too: ``timings_ms`` (stage to milliseconds),
    ``problem`` (the code of a refusal) and ``key`` (the API key that was used).
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        exchange = _Exchange(receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception:
            log.exception("the server failed")
            if exchange.status is None:
                state["problem"] = _FAILED.code
                await respond(_FAILED)(scope, exchange.receive, exchange.send)
        finally:
            self._tell(scope, exchange)

    def _tell(self, scope: Scope, exchange: "_Exchange") -> None:
        state, status = scope["state"], exchange.status or CLIENT_WENT_AWAY
        route = getattr(scope.get("route"), "path", OTHER)
        self._metrics.responded(route=route, status=status)
        if problem := state.get("problem"):
            self._metrics.rejected(problem)
        key, client = state.get("key"), scope.get("client")
        record = {
            "method": scope["method"],
            "path": scope["path"][:_LONGEST_PATH],
            "status": status,
            "problem": problem,
            "key": key and key.name,
            "client": client and client[0],
            "bytes_received": exchange.bytes_received,
            "bytes_sent": exchange.bytes_sent,
            "duration_ms": round(exchange.milliseconds, 3),
            "timings_ms": {s: round(ms, 3) for s, ms in state.get("timings_ms", {}).items()},
        }
        line = "%(method)s %(path)s %(status)d in %(duration_ms).0f ms"
        log.info(line, record, extra=record)


class _Exchange:
    """A request and its response, counted as they pass."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._started = time.perf_counter()
        self.status: int | None = None
        """The response's; CLIENT_WENT_AWAY before it was started; None before both."""
        self.bytes_received = self.bytes_sent = 0

    @property
    def milliseconds(self) -> float:
        return (time.perf_counter() - self._started) * 1000

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_received += len(message.get("body", b""))
        if message["type"] == "http.disconnect" and self.status is None:
            self.status = CLIENT_WENT_AWAY
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self.status is None:
            self.status = message["status"]
        self.bytes_sent += len(message.get("body", b""))
        await self._send(message)
