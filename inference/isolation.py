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
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np

from motionfit.inference import errors
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits, VideoInfo
from motionfit.inference.errors import BackendError, DecoderCrashed, DecodeTimeout, VideoError
from motionfit.inference.video import Clips, Source

WORKER = "motionfit.inference.decode_worker"
_START_SECONDS = 30.0
_MAX_MESSAGE_BYTES = 1024**2
_ERRORS = {
    error.code: error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, VideoError)
}


class DecoderProcess:
    """A child process that reads clips, started on first use and replaced after its death.

    Not for concurrent calls: give each thread its own. Use as a context manager, or close it.
    """

    def __init__(self, *, limits: DecodeLimits | None = None) -> None:
        self._limits = limits or DecodeLimits()
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the child, None before its start and after its death."""
        return self._child.pid if self._child is not None else None

    def start(self) -> None:
        """Start the child now, so that the first video need not wait for it."""
        if self._child is not None and self._child.poll() is not None:
            self.close()
        if self._child is None:
            try:
                self._spawn()
            except BaseException:
                self.close()
                raise

    def read_clips(self, source: Source, *, spec: ClipSpec, num_clips: int | None = None) -> Clips:
        """As ``motionfit.inference.video.read_clips``, in the child.

        Raises also DecodeTimeout, DecoderCrashed, and BackendError when no child starts. What is
        no file on disk (bytes in memory, a pipe) is copied to a temporary file first.
        """
        if isinstance(source, str | Path):
            with Path(source).open("rb") as file:
                return self.read_clips(file, spec=spec, num_clips=num_clips)
        if num_clips is not None:
            spec = replace(spec, num_clips=num_clips)
        with _reopened(source) as file:
            return self._ask(file.fileno(), spec=spec)

    def close(self) -> None:
        """End the child. Another thread may do this, which ends the call that waits for it."""
        child, connection = self._child, self._socket
        if child is not None:
            child.kill()
            child.wait()
        if connection is not None:
            connection.close()
        self._socket = self._child = None

    def _ask(self, descriptor: int, *, spec: ClipSpec) -> Clips:
        self.start()
        assert self._socket is not None
        shape = (spec.num_clips, spec.num_frames, spec.crop, spec.crop, 3)
        seconds = self._limits.timeout_seconds
        self._socket.settimeout(seconds)
        try:
            socket.send_fds(self._socket, [_frame_of({"spec": spec.to_json()})], [descriptor])
            answer, pixels = receive(
                self._socket, deadline_seconds=seconds, max_pixel_bytes=math.prod(shape)
            )
            return _clips_of(answer, pixels, shape=shape)
        except VideoError:
            raise
        except TimeoutError:
            self.close()
            raise DecodeTimeout(
                f"decoding took longer than the {seconds:g} s allowed; "
                "send a shorter or smaller video"
            ) from None
        except (OSError, EOFError) as error:
            raise self._crash() from error
        except Exception as error:  # whatever Python makes of an answer that is none
            self.close()
            raise DecoderCrashed("the decoder broke its protocol on this video") from error
        except BaseException:
            # An answer that nobody will read must not become the answer to the next question.
            self.close()
            raise

    def _spawn(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        limits = json.dumps(asdict(self._limits))
        with theirs:
            self._child = subprocess.Popen(
                # -P: nothing that lies in the working directory is imported.
                [sys.executable, "-P", "-m", WORKER, str(theirs.fileno()), limits],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=_environment(),
            )
        try:
            receive(self._socket, deadline_seconds=_START_SECONDS)
        except (OSError, EOFError) as error:
            raise BackendError("the decoding process did not start; see above for why") from error

    def _crash(self) -> DecoderCrashed:
        assert self._child is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=1)
        status = self._child.poll()
        self.close()
        how = f"by signal {-status}" if status is not None and status < 0 else f"with {status}"
        return DecoderCrashed(f"the decoder died {how} on this video; it is damaged or hostile")


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
