"""Uploads that take too long, pause too long, or are too many at a time."""

import asyncio
import time
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motionfit.serving.errors import Overloaded, TooSlow


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """What receiving bodies may take."""

    max_uploads: int
    """Bodies that are received at the same time."""
    idle_seconds: float
    """The longest pause in one."""
    seconds: float
    """One in all."""


class SlowClients:
    """ASGI middleware: reading a body raises TooSlow when its client takes too long.

    It raises Overloaded at once when as many other bodies are being received as may.
    """

    def __init__(self, app: ASGIApp, *, limits: UploadLimits) -> None:
        self.app = app
        self._limits = limits
        self._receiving: set[_Upload] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        upload = _Upload(receive, send, limits=self._limits, receiving=self._receiving)
        try:
            await self.app(scope, upload.receive, upload.send)
        finally:
            self._receiving.discard(upload)


class _Upload:
    def __init__(
        self, receive: Receive, send: Send, *, limits: UploadLimits, receiving: "set[_Upload]"
    ) -> None:
        self._receive, self._send, self._limits = receive, send, limits
        self._receiving = receiving
        self._complete = self._too_slow = False
        self._end = 0.0

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()  # which tells when the client goes away
        self._begin()
        try:
            async with asyncio.timeout(min(self._limits.idle_seconds, self._seconds_left())):
                message = await self._receive()
        except TimeoutError:
            raise self._slow() from None
        if not message.get("more_body", False):
            self._complete = True
            self._receiving.discard(self)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._too_slow:
            MutableHeaders(scope=message)["connection"] = "close"
        await self._send(message)

    def _begin(self) -> None:
        if self in self._receiving:
            return
        if len(self._receiving) >= self._limits.max_uploads:
            raise Overloaded(
                f"{len(self._receiving)} uploads are being received, as many as may; "
                "try again in a second",
                retry_after_seconds=1,
            )
        self._receiving.add(self)
        self._end = time.monotonic() + self._limits.seconds

    def _seconds_left(self) -> float:
        return self._end - time.monotonic()

    def _slow(self) -> TooSlow:
        self._too_slow = True
        if self._seconds_left() <= 0:
            return TooSlow(f"the upload took more than {self._limits.seconds:g} s")
        return TooSlow(f"the upload paused for more than {self._limits.idle_seconds:g} s")
