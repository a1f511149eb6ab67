"""A request's video, received into memory or, a larger one, into a file that has no name."""

import asyncio
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from threading import BoundedSemaphore
from typing import Any, BinaryIO, TypeVar, cast

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from motionfit.serving.edge.forms import FIELD, VideoForm
from motionfit.serving.errors import MissingVideo, Overloaded, UnsupportedMediaType
from motionfit.serving.resources import resources
from motionfit.serving.shielded import shielded

_PIECE_BYTES = 1024**2  # what is smaller stays in memory
_HOW = (
    f"Send a form with the field {FIELD!r} (curl -F {FIELD}=@clip.mp4), or the file itself as "
    "video/* or application/octet-stream (curl --data-binary @clip.mp4 -H Content-Type:video/mp4)"
)
_T = TypeVar("_T")
# One thread for all: forms that are made to take long keep each other waiting, and nobody else.
_SLOW_FORMS = ThreadPoolExecutor(1, "forms")
_MOST_SLOW_FORMS = 8  # the one being read included
_slow_form = BoundedSemaphore(_MOST_SLOW_FORMS)


async def receive_video(request: Request) -> BinaryIO:
    """The uploaded video as an open file, at its start; nothing is left when it is closed.

    Raises UnsupportedMediaType, BadUpload, MissingVideo, StorageFull, Overloaded, and what reading
    the body raises.
    """
    spool = _Spool(_form_of(request))
    try:
        async for chunk in request.stream():
            await spool.add(chunk)
        return await spool.finish()
    except BaseException:
        spool.discard()
        raise


class _Spool:
    """A body on its way to a file, a large piece at a time.

    Each is written on a thread, as a disk may be slow; a form that may take long to parse is parsed
    on another. A body of less than a piece is a file in memory, at once.
    """

    def __init__(self, form: VideoForm | None) -> None:
        self._form = form
        self._pending = bytearray()
        self._written = 0
        self._file: BinaryIO | None = None
        self._call: asyncio.Future[Any] | None = None

    async def add(self, chunk: bytes) -> None:
        self._pending += chunk
        if len(self._pending) >= _PIECE_BYTES:
            video = await self._take_video()
            await self._on_thread(partial(self._write_to_disk, video))

    async def finish(self) -> BinaryIO:
        """The file, at its start."""
        video = await self._take_video()
        if self._form is not None:
            self._form.end()
        if self._file is not None:
            return await self._on_thread(partial(self._whole, video, self._file))
        with resources():
            self._file = os.fdopen(os.memfd_create("upload"), "w+b", buffering=0)
            return self._whole(video, self._file)

    def discard(self) -> None:
        """Close the file, after the call that uses it."""
        if self._call is None or self._call.done():
            asyncio.get_running_loop().run_in_executor(None, self._close)
        else:
            self._call.add_done_callback(lambda _: self.discard())

    async def _take_video(self) -> bytes | bytearray:
        """The video's bytes in the piece that is pending."""
        piece, self._pending = self._pending, bytearray()
        if self._form is None:
            return piece
        body = bytes(piece)
        if self._form.is_quick(body):
            return self._form.feed(body)
        if not _slow_form.acquire(blocking=False):
            raise Overloaded(
                f"{_MOST_SLOW_FORMS} forms of unusual content wait to be read; send the file "
                "itself (curl --data-binary), or try again in a second",
                retry_after_seconds=1,
            )
        return await self._on_thread(partial(self._feed_slowly, body), executor=_SLOW_FORMS)

    def _feed_slowly(self, body: bytes) -> bytes | bytearray:
        assert self._form is not None
        try:
            return self._form.feed(body)
        finally:
            _slow_form.release()

    def _write_to_disk(self, video: bytes | bytearray) -> None:
        if self._file is None:
            # Unbuffered: closing a buffered file would try again to write what did not fit.
            self._file = cast(BinaryIO, tempfile.TemporaryFile(buffering=0))  # noqa: SIM115
        self._write(video, self._file)

    def _write(self, video: bytes | bytearray, file: BinaryIO) -> None:
        rest = memoryview(video)
        self._written += len(rest)
        while rest:
            rest = rest[file.write(rest) :]

    def _whole(self, video: bytes | bytearray, file: BinaryIO) -> BinaryIO:
        self._write(video, file)
        if not self._written:
            raise MissingVideo(f"the upload holds no video, or an empty one. {_HOW}")
        file.seek(0)
        return file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    async def _on_thread(
        self, function: Callable[[], _T], *, executor: Executor | None = None
    ) -> _T:
        call = self._call = asyncio.get_running_loop().run_in_executor(executor, function)
        with resources():
            # Whatever becomes of the request, the thread goes on using the file.
            return await shielded(call)


def _form_of(request: Request) -> VideoForm | None:
    """What takes the video out of the body; None when the body is the video."""
    if (encoding := request.headers.get("content-encoding", "identity")) != "identity":
        raise UnsupportedMediaType(
            f"the content encoding is {encoding!r}; only identity is read. Send the file as it is"
        )
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type == b"multipart/form-data":
        return VideoForm(options.get(b"boundary", b""))
    if media_type == b"application/octet-stream" or media_type.startswith(b"video/"):
        return None
    got = media_type.decode("latin-1") or "missing"
    raise UnsupportedMediaType(f"the content type is {got!r}. {_HOW}")
