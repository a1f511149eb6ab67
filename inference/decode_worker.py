"""The child of ``isolation``: receives open files over a socket, answers with clips.

Run as ``python -m motionfit.inference.decode_worker FD LIMITS NICE``. Ends when the parent is gone.
"""

import contextlib
import ctypes
import gc
import io
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

# PyAV imports this late, for a file with subtitles.
import av.subtitles.codeccontext  # noqa: F401

from motionfit.inference.clip import ClipSpec
from motionfit.inference.confinement import confine, limit_memory, volunteer_when_memory_is_short
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import DecoderFailed, VideoError, VideoTooLarge
from motionfit.inference.messages import send
from motionfit.inference.sampling import Span
from motionfit.inference.video import Clips, read_clips, read_windows

_GRACE_SECONDS = 2.0
_VIDEOS_PER_TIDYING = 16
_MOST_CALLS_TOLD = 20  # of a traceback
_CONNECTION = 3  # right after standard input, output and errors
_DESCRIPTORS = _CONNECTION + 2  # and the file that is received
# One black pixel.
_SMALLEST_GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff2c00000000010001000002024401003b"
)
SMALLEST_SPEC = ClipSpec(num_frames=1, frame_rate=10.0, short_side=8, crop=8, num_clips=1)


def main() -> None:
    """Answer requests until the other end of the socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limits = DecodeLimits(**json.loads(sys.argv[2]))
    os.nice(int(sys.argv[3]))
    warm_up()
    gc.freeze()
    with _connection(int(sys.argv[1])) as connection:
        volunteer_when_memory_is_short()
        limit_memory(limits.memory_bytes)
        os.dup2(1, 2)  # from here on, whatever writes to standard error is moved by a video
        measures = confine(descriptors=_DESCRIPTORS)
        with contextlib.suppress(EOFError, ConnectionError):
            send(connection, {"confined": measures})
            while True:
                for _ in range(_VIDEOS_PER_TIDYING):
                    _serve_one(connection, limits)
                _give_back_memory()


def warm_up() -> None:
    """Import what reading a video imports late, while that is still possible."""
    read_clips(io.BytesIO(_SMALLEST_GIF), spec=SMALLEST_SPEC)


def _give_back_memory() -> None:
    """Let the system have what the last videos took, which otherwise grows from video to video."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _connection(descriptor: int) -> socket.socket:
    """The socket to the parent, at the lowest place there is: what is opened comes after it."""
    if descriptor != _CONNECTION:
        os.dup2(descriptor, _CONNECTION)
        os.close(descriptor)
    return socket.socket(fileno=_CONNECTION)


def _serve_one(connection: socket.socket, limits: DecodeLimits) -> None:
    head, descriptors, _, _ = socket.recv_fds(connection, 4, 1)
    if not head:
        raise EOFError
    rest = 4 - len(head)
    head += bytes(connection.recv(rest, socket.MSG_WAITALL)) if rest else b""
    body = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
    with os.fdopen(descriptors[0], "rb") as file:
        for message, pixels in _timed(_answers(file, json.loads(body), limits), limits):
            send(connection, message, pixels)


def _timed(
    answers: Iterator[tuple[dict[str, Any], bytes]], limits: DecodeLimits
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The answers, with the kernel ending this process when it works on one for too long.

    A parent that was killed cannot end a decoder that hangs; a parent that lives is quicker.
    """
    left = True
    while left:
        signal.setitimer(signal.ITIMER_REAL, limits.timeout_seconds + _GRACE_SECONDS)
        signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
        message, pixels = next(answers)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        left = bool(message.get("left"))
        yield message, pixels


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
        yield _error(error.code, str(error), codec=error.codec)
    except MemoryError:
        message = f"decoding needs more than the {limits.memory_bytes} bytes of memory allowed"
        yield _error(VideoTooLarge.code, message)
    except Exception as error:  # standard error is shut: the parent says it
        failure, _ = _error(DecoderFailed.code, f"the decoder failed: {error!r:.200}")
        yield failure | {"calls": _calls(error)}, b""


def _error(code: str, message: str, *, codec: str | None = None) -> tuple[dict[str, Any], bytes]:
    return {"error": code, "message": message, "codec": codec}, b""


def _calls(error: Exception) -> list[str]:
    """Where an error was raised, a line for each call, the innermost last. Source cannot be read
    here.
    """
    calls = list(traceback.walk_tb(error.__traceback__))[-_MOST_CALLS_TOLD:]
    return [f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}" for frame, line in calls]


def _read(file: BinaryIO, request: dict[str, Any], limits: DecodeLimits) -> Iterator[Clips]:
    spec, span = ClipSpec.from_json(request["spec"]), Span(**request["span"])
    if "windows" in request:
        yield from read_windows(file, spec=spec, span=span, limits=limits, **request["windows"])
    else:
        yield read_clips(file, spec=spec, span=span, limits=limits)


if __name__ == "__main__":
    main()
