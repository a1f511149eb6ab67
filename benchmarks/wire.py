"""HTTP/1.1 requests, byte by byte: what is sent when, and when the answer is there.

The clients that people use send as fast as they can and hide when the last byte left. A load test
has to know that, and an endurance test has to send slowly, or stop in the middle.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import h11

CHUNK_BYTES = 1 << 16
_BOUNDARY = "motionfit-bench-5d0f6a"

Piece = bytes | memoryview | float
"""Bytes to send, or seconds to wait before the next."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    authority: str
    """Host and port as the address wrote them."""
    secure: bool
    """Whether it speaks TLS."""
    path: str
    """Before every path; empty, or it starts with a slash."""

    @classmethod
    def of(cls, url: str) -> Self:
        """The address in ``http://HOST:PORT/PATH``. Raises ValueError for anything else."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a server; write  http://HOST:PORT")
        secure = parts.scheme == "https"
        return cls(
            host=parts.hostname,
            port=parts.port or (443 if secure else 80),
            authority=parts.netloc.rpartition("@")[2],
            secure=secure,
            path=parts.path.rstrip("/"),
        )


@dataclass(frozen=True, kw_only=True)
class Request:
    """The bytes of one request."""

    head: bytes
    body: bytes = field(repr=False)

    @classmethod
    def of(
        cls,
        address: Address,
        target: str,
        *,
        method: str = "POST",
        body: bytes = b"",
        headers: Mapping[str, str],
    ) -> Self:
        """A request for ``target`` (a path with its query) that declares its body's length."""
        named = {
            "Host": address.authority,
            "Content-Length": str(len(body)),
            **headers,
        }
        lines = [f"{name}: {value}" for name, value in named.items()]
        first = f"{method} {address.path}{target} HTTP/1.1"
        return cls(head="\r\n".join([first, *lines, "", ""]).encode("latin-1"), body=body)

    @classmethod
    def form(
        cls, address: Address, target: str, *, video: bytes, headers: Mapping[str, str]
    ) -> Self:
        """What ``curl -F video=@clip.mp4`` sends."""
        headers = {"Content-Type": form_type(), **headers}
        return cls.of(address, target, body=form_body(video), headers=headers)

    def pieces(self) -> Iterator[Piece]:
        """The head with the first bytes of the body, then the rest in chunks."""
        yield self.head + self.body[:CHUNK_BYTES]
        rest = memoryview(self.body)[CHUNK_BYTES:]
        for start in range(0, len(rest), CHUNK_BYTES):
            yield rest[start : start + CHUNK_BYTES]


def form_type() -> str:
    """The content type of ``form_body``."""
    return f"multipart/form-data; boundary={_BOUNDARY}"


def form_body(video: bytes) -> bytes:
    """A form with one file, ``video``."""
    disposition = 'Content-Disposition: form-data; name="video"; filename="clip"'
    begin = f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
    return begin.encode() + video + f"\r\n--{_BOUNDARY}--\r\n".encode()


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request and its answer. Times are those of ``time.perf_counter``, in seconds."""

    sent_s: float
    """When the system had taken the last byte that was sent."""
    answered_s: float
    """When the last byte of the answer was there."""
    status: int
    body: bytes = field(repr=False)


class Connection:
    """A connection to a server, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._encrypted = writer.get_extra_info("ssl_object") is not None
        self._socket: socket.socket = writer.get_extra_info("socket").dup()
        # So that drain() returns when the system has everything, not when there is little left.
        # Not 0: that is where the transport for TLS waits forever.
        writer.transport.set_write_buffer_limits(high=1, low=0)
        self._sent_s = 0.0
        self.reusable = True
        """Whether the server will take another request."""

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Raises OSError when nobody listens."""
        context = ssl.create_default_context() if address.secure else None
        return cls(*await asyncio.open_connection(address.host, address.port, ssl=context))

    async def ask(self, pieces: Iterable[Piece]) -> Exchange:
        """Send ``pieces`` and read the answer; what is left is not sent once the answer is there.

        Raises ConnectionError when the server hangs up first, or answers what is no HTTP.
        """
        sending = asyncio.ensure_future(self.send(pieces))
        try:
            status, body = await self._answer()
            answered_s = time.perf_counter()
        finally:
            self.reusable &= sending.done()
            sending.cancel()
            await asyncio.wait([sending])
            sending.cancelled() or sending.exception()  # seen; the answer is what counts
        return Exchange(sent_s=self._sent_s, answered_s=answered_s, status=status, body=body)

    async def send(self, pieces: Iterable[Piece]) -> None:
        """Send without looking for an answer."""
        for piece in pieces:
            if isinstance(piece, float):
                await asyncio.sleep(piece)
                continue
            self._writer.write(piece)
            await self._writer.drain()
            self._sent_s = time.perf_counter()

    def abort(self) -> None:
        """Hang up now, with what was not sent yet dropped."""
        self.reusable = False
        self._writer.transport.abort()
        self._socket.close()

    async def _answer(self) -> tuple[int, bytes]:
        parser = _parser()
        status, body = 0, bytearray()
        try:
            while True:
                match parser.next_event():
                    case h11.NEED_DATA:
                        parser.receive_data(await self._received())
                    case h11.Response(status_code=status):
                        pass
                    case h11.Data(data=data):
                        body += data
                    case h11.EndOfMessage() | h11.ConnectionClosed():
                        break
        except h11.RemoteProtocolError as error:
            raise ConnectionError(f"the server hung up or sent no HTTP: {error}") from error
        self.reusable &= parser.their_state is not h11.MUST_CLOSE
        return status, bytes(body)

    async def _received(self) -> bytes:
        try:
            return await self._reader.read(CHUNK_BYTES)
        except ConnectionError:
            if self._encrypted:
                raise
        # The server hung up while we sent, so asyncio has let go of the connection. What the server
        # said before can still be read, and other clients do read it.
        return self._socket.recv(CHUNK_BYTES)


def _parser() -> h11.Connection:
    """What parses one answer: it believes that a request was sent, whichever it was."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="POST", target="/", headers=[("Host", "server")]))
    parser.send(h11.EndOfMessage())
    return parser
