"""A name for each request, which its answer, its problem and every log line about it carry."""

import re
import uuid
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-Id"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered; None outside of requests."""


class RequestIds:
    """ASGI middleware: takes the id that the client chose when it is well-formed, or makes one.

    An id from outside ends up in log files and other programs. So it is letters, digits, dots,
    dashes and underscores, at most 64 of them; with any other the client gets one of ours.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        chosen = _id_for(Headers(scope=scope))
        request_id.set(chosen)  # for this request's task alone

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = chosen
            await send(message)

        await self.app(scope, receive, send_with_id)


def _id_for(headers: Headers) -> str:
    match headers.getlist(HEADER):
        case [one] if _WELL_FORMED.fullmatch(one):
            return one
        case _:
            return new_id()


def new_id() -> str:
    """An id that no other request has."""
    return uuid.uuid4().hex
