"""The limit on a request's bytes, counted while the body streams. Nothing is held back."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motionfit.serving.errors import UploadTooLarge


class BodyLimit:
    """ASGI middleware: reading a body raises UploadTooLarge once it is over ``max_bytes``.

    A body declared too large by Content-Length is refused before its first byte is asked for, so
    that a client which waits for "100 Continue" never sends it. The declaration is not trusted
    beyond that: what arrives is counted.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            body = _CountedBody(scope, receive, send, max_bytes=self.max_bytes)
            await self.app(scope, body.receive, body.send)
        else:
            await self.app(scope, receive, send)


class _CountedBody:
    def __init__(self, scope: Scope, receive: Receive, send: Send, *, max_bytes: int) -> None:
        self._receive, self._send = receive, send
        self._max_bytes = max_bytes
        headers = Headers(scope=scope)
        self._declared = _declared_bytes(headers)
        self._complete = self._declared == 0 and "transfer-encoding" not in headers
        self._received = 0

    async def receive(self) -> Message:
        if (self._declared or 0) > self._max_bytes:
            raise self._too_large(f"{self._declared} bytes")
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        if self._received > self._max_bytes:
            raise self._too_large(f"more than {self._max_bytes} bytes")
        return message

    async def send(self, message: Message) -> None:
        # Without this the HTTP server would go on reading, and dropping, what is left of the body.
        if message["type"] == "http.response.start" and self._rest_is_unbounded():
            MutableHeaders(scope=message)["connection"] = "close"
        await self._send(message)

    def _rest_is_unbounded(self) -> bool:
        fits = self._declared is not None and self._declared <= self._max_bytes
        return not self._complete and not fits

    def _too_large(self, got: str) -> UploadTooLarge:
        return UploadTooLarge(
            f"the upload has {got}; at most {self._max_bytes} are allowed. "
            "Send a shorter or smaller video"
        )


def _declared_bytes(headers: Headers) -> int | None:
    if (text := headers.get("content-length")) is not None:
        return int(text) if text.isdecimal() else None
    return None if "transfer-encoding" in headers else 0
