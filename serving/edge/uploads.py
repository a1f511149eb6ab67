"""A request's video, streamed to a temporary file that has no name on disk."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import BinaryIO, cast

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from motionfit.serving.errors import BadUpload, MissingVideo, UnsupportedMediaType

FIELD = "video"
_WRITE_BYTES = 1024**2
_MAX_PARTS = 100
_HOW = (
    f"Send a form with the field {FIELD!r} (curl -F {FIELD}=@clip.mp4), or the file itself as "
    "video/* or application/octet-stream (curl --data-binary @clip.mp4 -H Content-Type:video/mp4)"
)


async def receive_video(request: Request) -> BinaryIO:
    """The uploaded video as an open file, at its start; nothing is left when it is closed.

    Raises UnsupportedMediaType, BadUpload, MissingVideo, and what reading the body raises.
    """
    with ExitStack() as stack:
        file = cast(BinaryIO, stack.enter_context(tempfile.TemporaryFile()))
        if await _spool(_video_bytes(request), file) == 0:
            raise MissingVideo(f"the upload holds no video, or an empty one. {_HOW}")
        stack.pop_all()  # from here on the caller closes the file
    return file


async def _spool(chunks: AsyncIterator[bytes], file: BinaryIO) -> int:
    """Write ``chunks`` and rewind. In large pieces, each on a thread: a disk may be slow."""
    pending = bytearray()
    total = 0
    async for chunk in chunks:
        total += len(chunk)
        pending += chunk
        if len(pending) >= _WRITE_BYTES:
            await asyncio.to_thread(file.write, pending)
            pending = bytearray()
    file.write(pending)
    file.seek(0)
    return total


def _video_bytes(request: Request) -> AsyncIterator[bytes]:
    if (encoding := request.headers.get("content-encoding", "identity")) != "identity":
        raise UnsupportedMediaType(
            f"the content encoding is {encoding!r}; only identity is read. Send the file as it is"
        )
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type == b"multipart/form-data":
        return _form_video(request, boundary=options.get(b"boundary", b""))
    if media_type == b"application/octet-stream" or media_type.startswith(b"video/"):
        return request.stream()
    got = media_type.decode("latin-1") or "missing"
    raise UnsupportedMediaType(f"the content type is {got!r}. {_HOW}")


async def _form_video(request: Request, *, boundary: bytes) -> AsyncIterator[bytes]:
    if not boundary:
        raise BadUpload("the content type multipart/form-data names no boundary")
    try:
        form = _VideoForm(boundary)
        async for chunk in request.stream():
            yield form.feed(chunk)
    except FormParserError as error:
        raise BadUpload(f"the form cannot be parsed: {error}") from error
    if not form.ended:
        raise BadUpload("the form ends before its last boundary; send it whole")


class _VideoForm:
    """A multipart parser that keeps the bytes of the part named ``video`` and drops the others."""

    def __init__(self, boundary: bytes) -> None:
        self.ended = False
        self._parts = self._videos = 0
        self._header: tuple[bytes, bytes] = (b"", b"")
        self._name: str | None = None
        self._taken = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> bytes:
        """Parse ``chunk``; the video's bytes in it."""
        self._parser.write(chunk)
        taken = bytes(self._taken)
        self._taken.clear()
        return taken

    def _begin(self) -> None:
        self._name = None
        self._header = (b"", b"")
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise BadUpload(f"the form has more than {_MAX_PARTS} parts")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        name, value = self._header
        self._header = (name + data[start:end], value)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        name, value = self._header
        self._header = (name, value + data[start:end])

    def _header_end(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            _, options = parse_options_header(value)
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._header = (b"", b"")

    def _headers_finished(self) -> None:
        self._videos += self._name == FIELD
        if self._videos > 1:
            raise BadUpload(f"the form has more than one field {FIELD!r}; send one video a request")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FIELD:
            self._taken += data[start:end]

    def _end(self) -> None:
        self.ended = True
