"""Finding the video in a request's body, however the network cuts it into pieces."""

import asyncio
import threading
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from motionfit.serving.edge import uploads
from motionfit.serving.edge.forms import VideoForm
from motionfit.serving.edge.uploads import receive_video
from motionfit.serving.errors import BadUpload, Overloaded, UnsupportedMediaType

VIDEO = b"\x00\r\n--XX\r\n--Y--\r\n\r\n\xff--Z\r" * 50
BODY = (
    b'--XYZ\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b"--XYZ\r\ncontent-TYPE: video/mp4\r\n"
    b'Content-disposition: form-data; filename="\xc3\xa4;b.mp4"; name="video"\r\n\r\n'
    + VIDEO
    + b"\r\n--XYZ--\r\n"
)
FORM = "multipart/form-data; boundary=XYZ"
HEAD = BODY[: BODY.index(VIDEO)]
PIECE_BYTES = 1024**2
# Each would keep a processor busy for a tenth of a second, or much longer.
HOSTILE = {
    "boundaries that are none": HEAD + b"\r\n--XYZz" * 120_000,
    "spaces after a boundary": BODY[:-4] + b" " * 1_000_000,
    "in a later piece": HEAD + bytes(PIECE_BYTES - len(HEAD)) + b"\r\n--XYZz" * 120_000,
    "after a boundary that is cut": (
        HEAD + bytes(PIECE_BYTES - len(HEAD) - 5) + b"\r\n--XYZ" + b" " * 1_000_000
    ),
}
ORDINARY = {
    "one piece": BODY,
    "lines of a video that look like the start of a boundary": HEAD + b"\r\n--XY" * 100_000,
    "several pieces": HEAD + bytes(3_000_000),
}


async def receiving(
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

    headers = [(b"content-type", content_type.encode("latin-1"))]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    with await receive_video(Request(scope, receive)) as file:
        return file.read()


def received(body: bytes, **how: Any) -> bytes:
    return asyncio.run(receiving(body, **how))


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 64, 100_000])
def test_form_video_arrives_whole_in_any_pieces(piece_bytes: int) -> None:
    assert received(BODY, piece_bytes=piece_bytes) == VIDEO


@pytest.mark.parametrize("content_type", ["video/mp4", "VIDEO/x-y", "application/octet-stream"])
def test_raw_body_is_taken_as_it_is(content_type: str) -> None:
    body = BODY * 2000  # large enough to be written in several pieces
    assert received(body, content_type=content_type, piece_bytes=65536) == body


@pytest.fixture
def parsed_on_loop(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each step of parsing, whether all other requests waited for it."""
    steps = []
    feed = VideoForm.feed

    def watched(form: VideoForm, chunk: bytes) -> bytes:
        steps.append(threading.current_thread() is threading.main_thread())
        return feed(form, chunk)

    monkeypatch.setattr(VideoForm, "feed", watched)
    return steps


@pytest.mark.parametrize("name", HOSTILE)
def test_a_form_that_is_made_to_take_long_is_not_parsed_on_the_loop(
    name: str, parsed_on_loop: list[bool]
) -> None:
    with pytest.raises(BadUpload):
        received(HOSTILE[name], piece_bytes=65536)
    assert parsed_on_loop[-1] is False
    assert parsed_on_loop.count(True) == (len(HOSTILE[name]) > PIECE_BYTES)


def test_more_forms_that_take_long_than_a_few_are_refused_at_once() -> None:
    async def all_of(count: int) -> list[type]:
        forms = [receiving(HOSTILE["boundaries that are none"][:600_000]) for _ in range(count)]
        answers = await asyncio.gather(*forms, return_exceptions=True)
        return [type(answer) for answer in answers]

    async def many() -> None:
        go = threading.Event()
        held = uploads._SLOW_FORMS.submit(go.wait)  # as one that takes very long
        waiting = asyncio.create_task(all_of(8))
        await asyncio.sleep(0.2)
        assert await all_of(3) == [Overloaded] * 3
        go.set()
        assert held.result()
        assert await waiting == [BadUpload] * 8
        assert await all_of(2) == [BadUpload] * 2  # there are places again

    asyncio.run(many())


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_form_waits_for_no_thread_to_parse_it(
    name: str, parsed_on_loop: list[bool]
) -> None:
    body = ORDINARY[name] + b"\r\n--XYZ--\r\n" * (name != "one piece")
    assert len(received(body, piece_bytes=65536)) > 1000
    assert all(parsed_on_loop)


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
