"""Finding the video in a request's body, however the network cuts it into pieces."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from motionfit.serving.edge.uploads import receive_video
from motionfit.serving.errors import BadUpload, UnsupportedMediaType

VIDEO = b"\x00\r\n--XX\r\n--Y--\r\n\r\n\xff--Z\r" * 50
BODY = (
    b'--XYZ\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b"--XYZ\r\ncontent-TYPE: video/mp4\r\n"
    b'Content-disposition: form-data; filename="\xc3\xa4;b.mp4"; name="video"\r\n\r\n'
    + VIDEO
    + b"\r\n--XYZ--\r\n"
)
FORM = "multipart/form-data; boundary=XYZ"


def received(
    body: bytes, *, content_type: str = FORM, piece_bytes: int = 1000, complete: bool = True
) -> bytes:
    """The video that the server takes out of ``body``."""
    messages: list[Message] = [
        {"type": "http.request", "body": body[start : start + piece_bytes], "more_body": True}
        for start in range(0, len(body), piece_bytes)
    ]
    messages.append({"type": "http.request" if complete else "http.disconnect"})

    async def receive() -> Message:
        return messages.pop(0)

    async def read() -> bytes:
        headers = [(b"content-type", content_type.encode("latin-1"))]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
        with await receive_video(Request(scope, receive)) as file:
            return file.read()

    return asyncio.run(read())


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 64, 100_000])
def test_form_video_arrives_whole_in_any_pieces(piece_bytes: int) -> None:
    assert received(BODY, piece_bytes=piece_bytes) == VIDEO


@pytest.mark.parametrize("content_type", ["video/mp4", "VIDEO/x-y", "application/octet-stream"])
def test_raw_body_is_taken_as_it_is(content_type: str) -> None:
    body = BODY * 2000  # large enough to be written in several pieces
    assert received(body, content_type=content_type, piece_bytes=65536) == body


@pytest.mark.parametrize(
    "body",
    [BODY[:-4], BODY[:300], b"--XYZ\r\nno colon\r\n\r\n", b"--XYZ\r\n" + b"a" * 100_000, b"-"],
    ids=["no last boundary", "cut in the video", "no header", "endless header", "no boundary"],
)
def test_broken_form_is_refused(body: bytes) -> None:
    with pytest.raises(BadUpload):
        received(body)


@pytest.mark.parametrize("content_type", ["", ";;", "video", "text/html", "multipart/mixed"])
def test_other_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        received(BODY, content_type=content_type)


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "b" * 5000])
def test_form_without_a_usable_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(BadUpload):
        received(BODY, content_type=f"multipart/form-data{boundary}")


def test_client_that_hangs_up_gets_no_video_read() -> None:
    with pytest.raises(ClientDisconnect):
        received(BODY, complete=False)
