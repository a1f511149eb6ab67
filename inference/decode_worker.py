"""The child of ``isolation``: receives open files over a socket, answers with clips.

Run as ``python -m motionfit.inference.decode_worker FD LIMITS NICE``. Ends when the parent is gone.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Self

from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import VideoError, VideoTooLarge
from motionfit.inference.messages import send
from motionfit.inference.sampling import Span
from motionfit.inference.video import Clips, read_clips, read_windows

_GRACE_SECONDS = 2.0


def main() -> None:
    """Answer requests until the other end of the socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limits = DecodeLimits(**json.loads(sys.argv[2]))
    os.nice(int(sys.argv[3]))
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        _limit_memory(limits)
        with contextlib.suppress(EOFError, ConnectionError):
            send(connection, {"ready": True})
            while True:
                _serve_one(connection, limits)


def _serve_one(connection: socket.socket, limits: DecodeLimits) -> None:
    head, descriptors, _, _ = socket.recv_fds(connection, 4, 1)
    if not head:
        raise EOFError
    rest = 4 - len(head)
    head += bytes(connection.recv(rest, socket.MSG_WAITALL)) if rest else b""
    body = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
    with os.fdopen(descriptors[0], "rb") as file, _Clock(limits) as clock:
        for message, pixels in _answers(file, json.loads(body), limits):
            with clock.stopped():
                send(connection, message, pixels)


class _Clock:
    """Ends this process when it works for too long; waiting for the parent does not count.

    A parent that was killed cannot end a decoder that hangs: the kernel does.
    """

    def __init__(self, limits: DecodeLimits) -> None:
        self._left_seconds = limits.timeout_seconds + _GRACE_SECONDS

    def __enter__(self) -> Self:
        signal.setitimer(signal.ITIMER_REAL, self._left_seconds)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        left_seconds, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        yield
        signal.setitimer(signal.ITIMER_REAL, left_seconds)


def _answers(
    file: BinaryIO, request: dict[str, Any], limits: DecodeLimits
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Messages with the pixels behind them, up to one that leaves none or is an error."""
    try:
        for clips in _read(file, request, limits):
            answer = {
                "starts_us": clips.starts_us.tolist(),
                "info": asdict(clips.info),
                "left": clips.left,
            }
            yield answer, clips.frames.tobytes()
    except VideoError as error:
        yield {"error": error.code, "message": str(error), "codec": error.codec}, b""
    except MemoryError:
        message = f"decoding needs more than the {limits.memory_bytes} bytes of memory allowed"
        yield {"error": VideoTooLarge.code, "message": message, "codec": None}, b""


def _read(file: BinaryIO, request: dict[str, Any], limits: DecodeLimits) -> Iterator[Clips]:
    spec, span = ClipSpec.from_json(request["spec"]), Span(**request["span"])
    if "windows" in request:
        yield from read_windows(file, spec=spec, span=span, limits=limits, **request["windows"])
    else:
        yield read_clips(file, spec=spec, span=span, limits=limits)


def _limit_memory(limits: DecodeLimits) -> None:
    """Cap the address space at what is in use now plus the limit; leave no core files.

    A lower cap that is there already stays.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    ceiling = pages * resource.getpagesize() + limits.memory_bytes
    _, inherited = resource.getrlimit(resource.RLIMIT_AS)
    if inherited != resource.RLIM_INFINITY:
        ceiling = min(ceiling, inherited)
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
