"""HTTP/1.1 as uvicorn speaks it, with limits on what a client may take of a connection."""

import asyncio
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from motionfit.serving.edge.refusals import Refusals
from motionfit.serving.edge.request_ids import HEADER as REQUEST_ID
from motionfit.serving.edge.request_ids import new_id
from motionfit.serving.edge.security_headers import headers_for
from motionfit.serving.metrics import Metrics
from motionfit.serving.problems import MEDIA_TYPE, other_problem

MAX_HEADER_BYTES = 16 * 1024
# Of a body in chunks. One in chunks of a byte takes six times its bytes, and a minute to parse.
_OVERHEAD = 1 / 32
_WORDS = {
    400: (
        "bad-request",
        "The request is not HTTP",
        "the request breaks the rules of HTTP/1.1, or its chunks are too small",
    ),
    408: ("too-slow", "The request came too slowly", "the headers took more than {seconds:g} s"),
    431: (
        "headers-too-large",
        "The headers are too large",
        f"the headers have more than {MAX_HEADER_BYTES} bytes",
    ),
    503: ("overloaded", "The server is busy", "too many connections are open; try again soon"),
}


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """What connections may take."""

    max_connections: int
    header_seconds: float
    """From the connection, or the end of the request before, to the end of the headers."""
    response_seconds: float
    """That a client may take to read its response."""


def limited_protocol(limits: ConnectionLimits, *, metrics: Metrics) -> type[H11Protocol]:
    """The protocol class that uvicorn makes an object of for each connection."""

    class Limited(_LimitedProtocol):
        _limits = limits
        _refusals = Refusals(metrics)
        _idle: "dict[_LimitedProtocol, None]" = {}

    return Limited


class _LimitedProtocol(H11Protocol):
    """A connection that ends when its client dawdles.

    When all connections are taken, the one that has waited longest without a request makes room;
    when all are at work, the newcomer is refused.
    """

    _limits: ConnectionLimits
    _refusals: Refusals
    _idle: "dict[_LimitedProtocol, None]"
    """Connections whose next request is not there yet, the longest waiting first."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._header_timer: asyncio.TimerHandle | None = None
        self._response_timer: asyncio.TimerHandle | None = None
        self._overhead = 0.0  # bytes of a body's chunks that are not the body, over what may be

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) <= self._limits.max_connections:
            self._await_request()
        elif self._idle:
            next(iter(self._idle))._make_room()
            self._await_request()
        else:
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_awaiting_request()
        if self._response_timer is not None:
            self._response_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        while data and not self.transport.is_closing():
            if self._in_plain_body():
                super().data_received(data)
                break
            # h11 compares what it holds with its limit only where no headers end in it.
            piece, data = data[:MAX_HEADER_BYTES], data[MAX_HEADER_BYTES:]
            self._take(piece)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_awaiting_request()

    def _in_plain_body(self) -> bool:
        """Whether what comes next is a body that is not in chunks."""
        return self._receiving() and b"transfer-encoding" not in dict(self.headers)

    def _receiving(self) -> bool:
        cycle = self.cycle
        return cycle is not None and cycle.more_body and not cycle.response_complete

    def _take(self, piece: bytes) -> None:
        """Headers, or a part of a body in chunks."""
        if not self._receiving():
            self._overhead = 0.0
            super().data_received(piece)
            return
        before = len(self.cycle.body)
        super().data_received(piece)
        kept = len(self.cycle.body) - before
        self._overhead = max(0.0, self._overhead + len(piece) - (1 + _OVERHEAD) * kept)
        if self._overhead > MAX_HEADER_BYTES and self.cycle.more_body:
            self._refuse(400)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_taking()

    def on_response_complete(self) -> None:
        self._await_taking()
        self._await_request()
        super().on_response_complete()
        if not self.cycle.response_complete:  # the next request was there already
            self._stop_awaiting_request()

    def send_400_response(self, msg: str) -> None:
        error = sys.exc_info()[1]  # uvicorn calls this where it catches the error
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        self._refuse(hint if hint in _WORDS else 400)

    def _await_request(self) -> None:
        self._stop_awaiting_request()
        self._idle[self] = None
        self._header_timer = self.loop.call_later(self._limits.header_seconds, self._too_slow)

    def _stop_awaiting_request(self) -> None:
        self._idle.pop(self, None)
        if self._header_timer is not None:
            self._header_timer.cancel()

    def _make_room(self) -> None:
        self._stop_awaiting_request()
        self.transport.abort()

    def _too_slow(self) -> None:
        self._refuse(408)

    def _await_taking(self) -> None:
        if self._response_timer is not None:
            self._response_timer.cancel()
        self._response_timer = self.loop.call_later(
            self._limits.response_seconds, self._end_if_not_taken
        )

    def _end_if_not_taken(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _refuse(self, status: int) -> None:
        """Answer with a problem where no answer was begun, and close the connection."""
        self._stop_awaiting_request()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            request_id = new_id()
            if not self._is_kept_alive():
                client = self.client and self.client[0]
                code = _WORDS[status][0]
                self._refusals.add(code, status=status, request_id=request_id, client=client)
            seconds = self._limits.header_seconds
            for event in _problem_events(status, seconds=seconds, request_id=request_id):
                self.transport.write(cast(bytes, self.conn.send(event)))
        self._await_taking()
        self.transport.close()

    def _is_kept_alive(self) -> bool:
        """Whether a request was answered and nothing of a next one has come: no fault of anyone."""
        idle = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
        return idle and self.cycle is not None


def _problem_events(status: int, *, seconds: float, request_id: str) -> list[h11.Event]:
    code, title, detail = _WORDS[status]
    problem = other_problem(status, code=code, title=title, detail=detail.format(seconds=seconds))
    problem = problem.model_copy(update={"request_id": request_id})
    body = problem.model_dump_json(exclude_none=True).encode()
    headers = [
        ("content-type", MEDIA_TYPE),
        ("content-length", str(len(body))),
        ("connection", "close"),
        (REQUEST_ID, request_id),
        *headers_for(None).items(),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("retry-after", "1"))
    reason = HTTPStatus(status).phrase.encode()
    return [
        h11.Response(status_code=status, headers=headers, reason=reason),
        h11.Data(data=body),
        h11.EndOfMessage(),
    ]
