"""Decoding in a child process, because videos come from strangers and FFmpeg is written in C.

The child gets an open file and nothing else. It may be killed at any time: a crash, a hang or a
memory bomb costs one video, and the next one gets a new child. Requests and answers are JSON with
raw pixels behind; nothing is unpickled and every size is checked, so a child that was taken over
cannot reach its parent.

A message is a header of four bytes (length of the JSON, big-endian), the JSON, and then as many
bytes of pixels as the JSON says.
"""

import contextlib
import io
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np

from motionfit.inference import errors
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits, VideoInfo
from motionfit.inference.errors import (
    BackendError,
    DecoderCrashed,
    DecodeTimeout,
    MotionfitError,
    VideoError,
)
from motionfit.inference.video import Clips, Source

WORKER = "motionfit.inference.decode_worker"
_START_SECONDS = 30.0
_MAX_MESSAGE_BYTES = 1024**2
_ERRORS = {
    error.code: error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, VideoError)
}


@dataclass(frozen=True)
class _Child:
    process: "subprocess.Popen[bytes]"
    connection: socket.socket

    def kill(self) -> None:
        """End the process, and with it the call of another thread that waits for it."""
        with contextlib.suppress(OSError):  # the child has hung up
            self.connection.shutdown(socket.SHUT_RDWR)
        self.process.kill()
        self.process.wait()


class DecoderProcess:
    """A child process that reads clips, started on first use and replaced after its death.

    Calls from several threads wait for each other. Use as a context manager, or close it.
    """

    def __init__(self, *, limits: DecodeLimits | None = None) -> None:
        self._limits = limits or DecodeLimits()
        self._calling = threading.Lock()
        self._changing = threading.Lock()  # of the child and of whether there may be one
        self._child: _Child | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the child, None before its start and after its death."""
        child = self._child
        return child.process.pid if child is not None else None

    def start(self) -> None:
        """Start the child now, so that the first video need not wait for it.

        Raises BackendError when it does not start, and after ``close``.
        """
        with self._calling:
            self._running()

    def read_clips(self, source: Source, *, spec: ClipSpec, num_clips: int | None = None) -> Clips:
        """As ``motionfit.inference.video.read_clips``, in the child.

        Raises also DecodeTimeout, DecoderCrashed, and BackendError when no child starts or this
        is closed. What is no file on disk (bytes in memory, a pipe) is copied to a temporary file
        first.
        """
        if isinstance(source, str | Path):
            with Path(source).open("rb") as file:
                return self.read_clips(file, spec=spec, num_clips=num_clips)
        if num_clips is not None:
            spec = replace(spec, num_clips=num_clips)
        with _reopened(source) as file, self._calling:
            return self._ask(file.fileno(), spec=spec)

    def close(self) -> None:
        """End the child for good. From another thread, this ends the call that waits for it."""
        with self._changing:
            self._closed = True
            if self._child is not None:
                self._child.kill()
        with self._calling:
            self._end_child()

    def _ask(self, descriptor: int, *, spec: ClipSpec) -> Clips:
        child = self._running()
        shape = (spec.num_clips, spec.num_frames, spec.crop, spec.crop, 3)
        seconds = self._limits.timeout_seconds
        try:
            child.connection.settimeout(seconds)
            socket.send_fds(child.connection, [_frame_of({"spec": spec.to_json()})], [descriptor])
            answer, pixels = receive(
                child.connection, deadline_seconds=seconds, max_pixel_bytes=math.prod(shape)
            )
            return _clips_of(answer, pixels, shape=shape)
        except VideoError:
            raise
        except TimeoutError:
            self._end_child()
            raise DecodeTimeout(
                f"decoding took longer than the {seconds:g} s allowed; "
                "send a shorter or smaller video"
            ) from None
        except (OSError, EOFError) as error:
            raise self._crash(child) from error
        except Exception as error:  # whatever Python makes of an answer that is none
            self._end_child()
            raise DecoderCrashed("the decoder broke its protocol on this video") from error
        except BaseException:
            # An answer that nobody will read must not become the answer to the next question.
            self._end_child()
            raise

    def _running(self) -> _Child:
        """The child, started if there is none."""
        if self._child is not None and self._child.process.poll() is not None:
            self._end_child()
        if self._child is not None:
            return self._child
        with self._changing:
            if self._closed:
                raise BackendError("the decoder was closed")
            self._child = child = _spawn(self._limits)
        try:
            receive(child.connection, deadline_seconds=_START_SECONDS)
        except BaseException as error:
            self._end_child()
            if isinstance(error, OSError | EOFError):
                why = "was closed" if self._closed else "process did not start; see above for why"
                raise BackendError(f"the decoder {why}") from error
            raise
        return child

    def _end_child(self) -> None:
        """End the child, by the thread that holds ``_calling``: nobody uses its connection."""
        with self._changing:
            child, self._child = self._child, None
            if child is not None:
                child.kill()
                child.connection.close()

    def _crash(self, child: _Child) -> MotionfitError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(timeout=1)
        status = child.process.poll()
        self._end_child()
        if self._closed:
            return BackendError("the decoder was closed while it read this video")
        how = f"by signal {-status}" if status is not None and status < 0 else f"with {status}"
        return DecoderCrashed(f"the decoder died {how} on this video; it is damaged or hostile")


def _spawn(limits: DecodeLimits) -> _Child:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.ExitStack() as undo, theirs:
        undo.callback(ours.close)
        process = subprocess.Popen(
            # -P: nothing that lies in the working directory is imported.
            [
                *(sys.executable, "-P", "-m", WORKER),
                *(str(theirs.fileno()), json.dumps(asdict(limits))),
            ],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env=_environment(),
        )
        undo.pop_all()
    return _Child(process, ours)


def send(connection: socket.socket, message: dict[str, Any], pixels: bytes = b"") -> None:
    """Send a message and the pixels behind it."""
    connection.sendall(_frame_of(message | {"bytes": len(pixels)}))
    connection.sendall(pixels)


def receive(
    connection: socket.socket, *, deadline_seconds: float, max_pixel_bytes: int = 0
) -> tuple[Any, bytearray]:
    """The next message and the pixels behind it.

    Raises TimeoutError when it is not there in time, EOFError when the other side is gone,
    ValueError when it is too long, and anything when it is no message at all.
    """
    end = time.monotonic() + deadline_seconds
    length = int.from_bytes(_read(connection, 4, end), "big")
    message = json.loads(_read(connection, _checked(length, most=_MAX_MESSAGE_BYTES), end))
    return message, _read(connection, _checked(message["bytes"], most=max_pixel_bytes), end)


def _checked(count: int, *, most: int) -> int:
    if not 0 <= count <= most:
        raise ValueError(f"a message of {count} bytes, at most {most} are expected")
    return count


def _read(connection: socket.socket, count: int, end: float) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        got = connection.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return data


def _frame_of(message: dict[str, Any]) -> bytes:
    body = json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body


def _clips_of(answer: Any, pixels: bytearray, *, shape: tuple[int, ...]) -> Clips:
    if "error" in answer:
        raise _ERRORS.get(answer["error"], VideoError)(answer["message"])
    info = answer["info"] | {"notes": tuple(answer["info"]["notes"])}
    return Clips(
        frames=np.frombuffer(pixels, np.uint8).reshape(shape),
        starts_us=np.array(answer["starts_us"], np.int64).reshape(shape[0]),
        info=VideoInfo(**info),
    )


@contextlib.contextmanager
def _reopened(source: BinaryIO) -> Iterator[BinaryIO]:
    """A file with the content of ``source`` and a position of its own, which the child may move."""
    with contextlib.ExitStack() as stack:
        try:
            source.seek(0)  # writes out what the caller has written so far
            path = Path(f"/proc/self/fd/{source.fileno()}")
        except io.UnsupportedOperation:
            copy = cast(BinaryIO, stack.enter_context(tempfile.TemporaryFile()))
            shutil.copyfileobj(source, copy)
            copy.flush()
            yield copy
        else:
            yield stack.enter_context(path.open("rb"))


def _environment() -> dict[str, str]:
    """The parent's environment without the threads that numeric libraries would start."""
    return os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
