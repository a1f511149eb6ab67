"""The child of ``isolation``: receives open files over a socket, answers with clips.

Run as ``python -m motionfit.inference.decode_worker FD LIMITS``. Ends when the parent is gone.
"""

import contextlib
import json
import math
import os
import resource
import signal
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import VideoError, VideoTooLarge
from motionfit.inference.isolation import send
from motionfit.inference.video import read_clips

_GRACE_SECONDS = 2


def main() -> None:
    """Answer requests until the other end of the socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limits = DecodeLimits(**json.loads(sys.argv[2]))
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
    # A parent that was killed cannot end a decoder that hangs: the kernel does.
    signal.alarm(math.ceil(limits.timeout_seconds) + _GRACE_SECONDS)
    with os.fdopen(descriptors[0], "rb") as file:
        message, pixels = _read(file, json.loads(body), limits)
    signal.alarm(0)
    send(connection, message, pixels)


def _read(
    file: BinaryIO, request: dict[str, Any], limits: DecodeLimits
) -> tuple[dict[str, Any], bytes]:
    try:
        clips = read_clips(
            file,
            spec=ClipSpec.from_json(request["spec"]),
            limits=limits,
        )
    except VideoError as error:
        return {"error": error.code, "message": str(error)}, b""
    except MemoryError:
        message = f"decoding needs more than the {limits.memory_bytes} bytes of memory allowed"
        return {"error": VideoTooLarge.code, "message": message}, b""
    answer = {
        "starts_us": clips.starts_us.tolist(),
        "info": asdict(clips.info),
    }
    return answer, clips.frames.tobytes()


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
