"""The video in a multipart form."""

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartState, parse_options_header

from motionfit.serving.errors import BadUpload

FIELD = "video"
_MAX_PARTS = 100
_FEW_PARTS = 8
_SHORT_BYTES = 1024
# In these the parser jumps to the next boundary; in others it goes from byte to byte.
_JUMPS = {MultipartState.START, MultipartState.PART_DATA, MultipartState.END}


class VideoForm:
    """A multipart parser that keeps the bytes of the part named ``video`` and drops the others.

    Its methods raise BadUpload. Parsing may take a second for a megabyte of hostile bytes;
    ``is_quick`` knows the others.
    """

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise BadUpload("the content type multipart/form-data names no boundary")
        self._boundary = b"--" + boundary
        self._ended = False
        self._parts = self._videos = 0
        self._header: tuple[bytes, bytes] = (b"", b"")
        self._name: str | None = None
        self._taken = bytearray()
        try:
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
        except FormParserError as error:
            raise BadUpload(f"the form's boundary cannot be used: {error}") from error

    def is_quick(self, chunk: bytes) -> bool:
        """Whether to ``feed`` this takes little more than to copy it: few parts, short headers."""
        before, *parts = chunk.split(self._boundary, _FEW_PARTS + 1)
        if self._parser.index or self._parser.state not in _JUMPS:
            parts.append(before)
        return len(parts) <= _FEW_PARTS and all(_has_short_headers(part) for part in parts)

    def feed(self, chunk: bytes) -> bytes:
        """Parse ``chunk``; the video's bytes in it."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadUpload(f"the form cannot be parsed: {error}") from error
        taken = bytes(self._taken)
        self._taken.clear()
        return taken

    def end(self) -> None:
        """There are no more bytes."""
        if not self._ended:
            raise BadUpload("the form ends before its last boundary; send it whole")

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
        self._ended = True


def _has_short_headers(part: bytes) -> bool:
    return len(part) <= _SHORT_BYTES or b"\r\n\r\n" in part[:_SHORT_BYTES]
