"""Waiting for what a thread does, without stopping it."""

import asyncio
from typing import Any, TypeVar

_T = TypeVar("_T")


async def shielded(call: "asyncio.Future[_T]") -> _T:
    """The result of ``call``, which goes on when who waits for it is cancelled.

    What becomes of it then is of no interest: asyncio need not complain about errors.
    """
    call.add_done_callback(_look_at_error)
    return await asyncio.shield(call)


def _look_at_error(call: "asyncio.Future[Any]") -> None:
    if not call.cancelled():
        call.exception()
