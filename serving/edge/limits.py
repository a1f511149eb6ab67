"""The limit on a request's bytes, counted while the body streams. Nothing is held back."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motionfit.serving.errors import BadUpload, UploadTooLarge

_LINGER_SECONDS = 5.0


class BodyLimit:
    """ASGI middleware: reading a body raises UploadTooLarge once it is over ``max_bytes``, and
    BadUpload when its length is declared in two ways.

    A body declared too large by Content-Length is refused before its first byte is asked for, so
    that a client which waits for "100 Continue" never sends it. The declaration is not trusted
    beyond that: what arrives is counted.

    Many clients send all they have before they look at the answer, and see a broken connection
    instead of it when the server hangs up first. So where a connection ends with a refusal, at most
    as many bytes again are dropped unread, for a few seconds, before it is closed.
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
        # Whatever stands before this server may have believed the other one.
        self._ambiguous = {"content-length", "transfer-encoding"} <= {*headers}
        self._complete = self._declared == 0
        wants_close = "close" in headers.get("connection", "").lower()
        self._ends = wants_close or scope.get("http_version") == "1.0"
        self._client_waits = headers.get("expect", "").lower() == "100-continue"
        self._received = 0
        self._hang_up = False

    async def receive(self) -> Message:
        if self._ambiguous:
            raise BadUpload(
                "the request has both a content-length and a transfer-encoding; send one of them"
            )
        if (self._declared or 0) > self._max_bytes:
            raise self._too_large(f"{self._declared} bytes")
        message = await self._next()
        if self._received > self._max_bytes:
            raise self._too_large(f"more than {self._max_bytes} bytes")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            fits = self._declared is not None and self._declared <= self._max_bytes
            self._hang_up = not self._complete and (self._ends or not fits)
            if self._hang_up:
                MutableHeaders(scope=message)["connection"] = "close"
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if self._hang_up and last:
            await self._send({**message, "more_body": True})
            await self._drop_the_rest()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _next(self) -> Message:
        self._client_waits = False
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        return message

    async def _drop_the_rest(self) -> None:
        end = self._received + self._max_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while not (self._client_waits or self._complete or self._received > end):
                    await self._next()

    def _too_large(self, got: str) -> UploadTooLarge:
        return UploadTooLarge(
            f"the upload has {got}; at most {self._max_bytes} are allowed. "
            "Send a shorter or smaller video"
        )


def _declared_bytes(headers: Headers) -> int | None:
    """The length that the client declares, None for a body of unknown length."""
    if "transfer-encoding" in headers:
        return None
    text = headers.get("content-length", "0")
    return int(text) if text.isdecimal() else None
