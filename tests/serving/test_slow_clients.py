"""An upload that must make room in the very moment in which its patience ends."""

import asyncio
import time

import pytest
from starlette.types import Message

from motionfit.serving.edge.slow_clients import SlowClients, UploadLimits
from motionfit.serving.errors import TooSlow

IDLE_SECONDS = 2.5  # longer than an upload may take to show how fast it is


async def _app(_: object, receive: object, __: object) -> None:
    assert callable(receive)
    while (await receive())["more_body"]:
        pass


def test_a_newcomer_gets_the_place_of_an_upload_that_just_timed_out() -> None:
    limits = UploadLimits(max_uploads=1, idle_seconds=IDLE_SECONDS, seconds=600)
    app = SlowClients(_app, limits=limits)

    async def never() -> Message:
        await asyncio.sleep(600)
        raise AssertionError

    async def whole() -> Message:
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(_: Message) -> None:
        raise AssertionError

    async def both() -> None:
        paused = asyncio.create_task(app({"type": "http"}, never, send))
        await asyncio.sleep(0.1)
        time.sleep(IDLE_SECONDS)  # so that its patience has ended before the loop sees it
        for _ in range(2):  # the timer comes after this task, and before that of the upload
            await asyncio.sleep(0)
        await app({"type": "http"}, whole, send)
        with pytest.raises(TooSlow):
            await paused

    asyncio.run(both())
