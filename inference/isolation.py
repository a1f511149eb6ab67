"""Decoding in a child process, because videos come from strangers and FFmpeg is written in C.

The child gets an open file and nothing else. It may be killed at any time: a crash, a hang or a
memory bomb costs one video, and the next one gets a new child. Requests and answers are JSON with
raw pixels behind; nothing is unpickled, so a child that was taken over cannot reach its parent.

A message is a header of four bytes (length of the JSON, big-endian), the JSON, and then as many
bytes of pixels as the JSON says.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np

from motionfit.inference import errors
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits, VideoInfo
from motionfit.inference.errors import DecoderCrashed, DecodeTimeout, VideoError
from motionfit.inference.video import Clips, Source

_START_SECONDS = 30.0
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
            self._spawn()

    def read_clips(self, source: Source, *, spec: ClipSpec, num_clips: int | None = None) -> Clips:
        """As ``motionfit.inference.video.read_clips``, in the child.

        Raises also DecodeTimeout and DecoderCrashed. ``source`` must be a path or a real file
        (one with a file descriptor).
        """
        if isinstance(source, str | Path):
            with Path(source).open("rb") as file:
                return self._ask(file.fileno(), spec=spec, num_clips=num_clips)
        return self._ask(source.fileno(), spec=spec, num_clips=num_clips)

    def close(self) -> None:
        """End the child."""
        if self._socket is not None:
            self._socket.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._socket = self._child = None

    def _ask(self, descriptor: int, *, spec: ClipSpec, num_clips: int | None) -> Clips:
        self.start()
        assert self._socket is not None
        self._socket.settimeout(self._limits.timeout_seconds)
        request = {"spec": spec.to_json(), "num_clips": num_clips}
        try:
            socket.send_fds(self._socket, [_frame_of(request)], [descriptor])
            answer, pixels = receive(self._socket, deadline_seconds=self._limits.timeout_seconds)
        except TimeoutError:
            self.close()
            raise DecodeTimeout(
                f"decoding took longer than the {self._limits.timeout_seconds:g} s allowed; "
                "send a shorter or smaller video"
            ) from None
        except (OSError, EOFError) as error:
            raise self._crash() from error
        except BaseException:
            # An answer that nobody will read must not become the answer to the next question.
            self.close()
            raise
        if "error" in answer:
            raise _ERRORS.get(answer["error"], VideoError)(answer["message"])
        return _clips_of(answer, pixels)

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._child = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "motionfit.inference.decode_worker",
                    str(theirs.fileno()),
                    json.dumps(asdict(self._limits)),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=_environment(),
            )
        self._socket = ours
        try:
            receive(ours, deadline_seconds=_START_SECONDS)
        except (OSError, EOFError) as error:
            self.close()
            raise DecoderCrashed("the decoding process did not start") from error
        except BaseException:
            self.close()
            raise

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
    connection: socket.socket, *, deadline_seconds: float
) -> tuple[dict[str, Any], bytearray]:
    """The next message and the pixels behind it.

    Raises TimeoutError when it is not there in time, EOFError when the other side is gone.
    """
    end = time.monotonic() + deadline_seconds
    length = int.from_bytes(_read(connection, 4, end), "big")
    message = json.loads(_read(connection, length, end))
    return message, _read(connection, message.get("bytes", 0), end)


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


def _clips_of(answer: dict[str, Any], pixels: bytearray) -> Clips:
    info = dict(answer["info"])
    info["notes"] = tuple(info["notes"])
    return Clips(
        frames=np.frombuffer(pixels, np.uint8).reshape(answer["shape"]),
        starts_us=np.array(answer["starts_us"], np.int64),
        info=VideoInfo(**info),
    )


def _environment() -> dict[str, str]:
    """The parent's environment without the threads that numeric libraries would start."""
    return os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
