"""Uploads that take too long, pause too long, or are too many at a time."""

import asyncio
import time
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motionfit.serving.errors import Overloaded, TooSlow

_GRACE_SECONDS = 2.0  # in which an upload need not have shown yet how fast it is


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

    When as many other bodies are being received as may, the slowest of them makes room: reading it
    raises TooSlow. Where all have only just begun, it is the newcomer that gets Overloaded.
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
        self._complete = self._too_slow = self._made_room = False
        self._began = 0.0
        self._bytes = 0
        self._patience: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()  # which tells when the client goes away
        self._begin()
        seconds = 0 if self._made_room else min(self._limits.idle_seconds, self._seconds_left())
        try:
            async with asyncio.timeout(seconds) as self._patience:
                message = await self._receive()
        except TimeoutError:
            raise self._slow() from None
        finally:
            self._patience = None
        self._bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            self._complete = True
            self._receiving.discard(self)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._too_slow:
            MutableHeaders(scope=message)["connection"] = "close"
        await self._send(message)

    def _begin(self) -> None:
        if self._began:
            return
        if len(self._receiving) >= self._limits.max_uploads:
            self._find_room()
        self._receiving.add(self)
        self._began = time.monotonic()

    def _find_room(self) -> None:
        known = [upload for upload in self._receiving if upload._seconds > _GRACE_SECONDS]
        if not known:
            raise Overloaded(
                f"{len(self._receiving)} uploads are being received, as many as may; "
                "try again in a second",
                retry_after_seconds=1,
            )
        min(known, key=lambda upload: upload._bytes / upload._seconds)._make_room()

    def _make_room(self) -> None:
        self._made_room = True
        self._receiving.discard(self)
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(0)  # which is now, where it still waits

    @property
    def _seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def _seconds_left(self) -> float:
        return self._limits.seconds - self._seconds

    def _slow(self) -> TooSlow:
        self._too_slow = True
        if self._made_room:
            return TooSlow(
                "the upload was the slowest when others needed room, with "
                f"{self._bytes / self._seconds:.0f} bytes a second"
            )
        if self._seconds_left() <= 0:
            return TooSlow(f"the upload took more than {self._limits.seconds:g} s")
        return TooSlow(f"the upload paused for more than {self._limits.idle_seconds:g} s")
