"""What ``isolation`` and its child say to each other over their socket.

A message is a header of four bytes (length of the JSON, big-endian), the JSON, and then as many
bytes of pixels as the JSON says. Nothing is unpickled and every size is checked, so a child that
was taken over cannot reach its parent.
"""

import json
import os
import select
import socket
import time
from typing import Any, Self

from motionfit.inference.errors import Cancelled

_MAX_MESSAGE_BYTES = 1024**2


class Patience:
    """How long one waits for a child's answer, all of its parts together. Only the time spent
    waiting counts. Use as a context manager.
    """

    def __init__(self, *, seconds: float, grace_seconds: float) -> None:
        self._seconds = self._left_seconds = seconds
        self._grace_seconds = grace_seconds
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._hurried = False
        self.cancelled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._wake)

    def cancel(self) -> None:
        """Wait no longer than the grace. From another thread, before this is closed."""
        self.cancelled = True
        os.eventfd_write(self._wake, 1)

    def renew(self) -> None:
        """Wait as long again for the next answer."""
        self._left_seconds = self._seconds

    def check(self) -> None:
        """Raise Cancelled if this was cancelled."""
        if self.cancelled:
            raise Cancelled("nobody waits for this video any more")

    def wait(self, connection: socket.socket) -> None:
        """Wait until there is something to read. Raises TimeoutError, or Cancelled, in the end."""
        begin = time.monotonic()
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        if not self._hurried:
            poll.register(self._wake, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(max(0, self._left_seconds) * 1000)]
        self._left_seconds -= time.monotonic() - begin
        if connection.fileno() in ready:
            return
        if self._wake in ready:
            self._hurried = True
            self._left_seconds = min(self._left_seconds, self._grace_seconds)
        if self._left_seconds <= 0:
            self.check()
            raise TimeoutError


def encoded(message: dict[str, Any]) -> bytes:
    """A message without pixels as it goes over the socket."""
    body = json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body


def send(connection: socket.socket, message: dict[str, Any], pixels: bytes = b"") -> None:
    """Send a message and the pixels behind it."""
    connection.sendall(encoded(message | {"bytes": len(pixels)}))
    connection.sendall(pixels)


def receive(
    connection: socket.socket, *, patience: Patience, max_pixel_bytes: int = 0
) -> tuple[Any, bytearray]:
    """The next message, and the pixels behind it, from a connection that does not block.

    Raises what ``Patience.wait`` raises, EOFError when the other side is gone, ValueError when it
    is too long, and anything when it is no message at all.
    """
    length = int.from_bytes(_read(connection, 4, patience), "big")
    message = json.loads(_read(connection, _checked(length, most=_MAX_MESSAGE_BYTES), patience))
    return message, _read(connection, _checked(message["bytes"], most=max_pixel_bytes), patience)


def _checked(count: int, *, most: int) -> int:
    if not 0 <= count <= most:
        raise ValueError(f"a message of {count} bytes, at most {most} are expected")
    return count


def _read(connection: socket.socket, count: int, patience: Patience) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        try:
            got = connection.recv_into(view)
        except BlockingIOError:
            patience.wait(connection)
            continue
        if not got:
            raise EOFError
        view = view[got:]
    return data
