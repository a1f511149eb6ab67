"""Load from independent clients: they ask when they want to, not when the server is done.

Run as a process of its own, ``python -m motionfit.benchmarks.open_loop``: a plan comes as JSON on
stdin, requests go as JSON lines to stdout, then what it took. It shares the machine with the
server under test, so it imports little and works little.
"""

import asyncio
import gc
import json
import random
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate
from operator import attrgetter
from pathlib import Path
from typing import Any

from motionfit.benchmarks.load_plan import (
    CLOSED,
    CONSTANT,
    KnownVideo,
    LoadPlan,
    Sent,
    alike,
    fingerprint,
)
from motionfit.benchmarks.wire import Address, Connection, Exchange, Request

_FLUSH_SECONDS = 0.25
_values = attrgetter(*Sent.__dataclass_fields__)


def schedule(plan: LoadPlan) -> list[tuple[float, int]]:
    """Seconds from the start, and the number of the video, of each request."""
    rng = random.Random(plan.seed)
    chosen = [rng.randrange(len(plan.videos)) for _ in range(plan.requests)]
    gaps = [_gap_seconds(plan, rng) for _ in chosen]
    return list(zip(accumulate(gaps), chosen, strict=True))


def _gap_seconds(plan: LoadPlan, rng: random.Random) -> float:
    if plan.arrivals == CLOSED:
        return 0.0
    return 1 / plan.rate if plan.arrivals == CONSTANT else rng.expovariate(plan.rate)


class Load:
    """The requests of a plan, being made."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self.done: list[Sent] = []
        """Requests that ended and were not told of yet."""
        self._address = Address.of(plan.url)
        self._requests = [self._request(video) for video in plan.videos]
        self._waiting = 0
        self._begin = 0.0

    async def run(self) -> None:
        """Make all requests."""
        times = iter(schedule(self.plan))
        self._begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            if self.plan.arrivals == CLOSED:
                for _ in range(self.plan.clients):
                    group.create_task(self._client(times))
                return
            for scheduled_s, video in times:
                await asyncio.sleep(self._begin + scheduled_s - time.perf_counter())
                group.create_task(self._stranger(scheduled_s, video))

    async def _stranger(self, scheduled_s: float, video: int) -> None:
        """One request on a connection of its own."""
        if self._waiting >= self.plan.clients:
            error = f"not sent: {self._waiting} requests are under way"
            self.done.append(_lost(video, scheduled_s, scheduled_s, error))
            return
        self._waiting += 1
        connection = await self._ask(None, scheduled_s, video)
        if connection is not None:
            connection.abort()
        self._waiting -= 1

    async def _client(self, times: Iterator[tuple[float, int]]) -> None:
        """Requests one after the other, on one connection while the server keeps it."""
        connection = None
        for _, video in times:
            if connection is not None and not connection.reusable:
                connection.abort()
                connection = None
            now_s = time.perf_counter() - self._begin
            connection = await self._ask(connection, now_s, video)
        if connection is not None:
            connection.abort()

    async def _ask(
        self, connection: Connection | None, scheduled_s: float, video: int
    ) -> Connection | None:
        """Make a request; the connection it was made on, unless it broke."""
        started_s = time.perf_counter() - self._begin
        try:
            async with asyncio.timeout(self.plan.timeout_seconds):
                connection = connection or await Connection.open(self._address)
                exchange = await connection.ask(self._requests[video].pieces())
        except (OSError, TimeoutError) as error:
            if connection is not None:
                connection.abort()
            reason = str(error) or type(error).__name__
            self.done.append(_lost(video, scheduled_s, started_s, reason))
            return None
        self.done.append(self._sent(exchange, video, scheduled_s, started_s))
        return connection

    def _sent(self, exchange: Exchange, video: int, scheduled_s: float, started_s: float) -> Sent:
        body = _json(exchange.body)
        answered = exchange.status == 200
        return Sent(
            video=video,
            scheduled_s=scheduled_s,
            started_s=started_s,
            sent_s=exchange.sent_s - self._begin,
            answered_s=exchange.answered_s - self._begin,
            status=exchange.status,
            code=None if answered else body.get("code"),
            right=_is_right(body, self.plan.videos[video]) if answered else None,
            error=None,
        )

    def _request(self, video: KnownVideo) -> Request:
        content = Path(video.path).read_bytes()
        closing = {} if self.plan.arrivals == CLOSED else {"Connection": "close"}
        headers = closing | dict(self.plan.headers)
        return Request.form(self._address, self.plan.target, video=content, headers=headers)


def _lost(video: int, scheduled_s: float, started_s: float, error: str) -> Sent:
    return Sent(
        video=video,
        scheduled_s=scheduled_s,
        started_s=started_s,
        sent_s=None,
        answered_s=None,
        status=None,
        code=None,
        right=None,
        error=error,
    )


def _json(body: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(body)
        if isinstance(found, dict):
            return found
    return {}


def _is_right(answer: dict[str, Any], video: KnownVideo) -> bool:
    with suppress(KeyError):
        return alike(fingerprint(answer), video.fingerprint)
    return False


async def _tell(load: Load) -> None:
    """Print the requests that ended, now and then."""
    while True:
        await asyncio.sleep(_FLUSH_SECONDS)
        _print_done(load)


def _print_done(load: Load) -> None:
    lines = [json.dumps(_values(one)) for one in load.done]
    load.done.clear()
    if lines:
        print("\n".join(lines), flush=True)


async def _main(plan: LoadPlan) -> None:
    load = Load(plan)
    gc.freeze()
    before = resource.getrusage(resource.RUSAGE_SELF)
    telling = asyncio.create_task(_tell(load))
    await load.run()
    telling.cancel()
    after = resource.getrusage(resource.RUSAGE_SELF)
    _print_done(load)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"cpu_seconds": cpu}), flush=True)


def plan_of(text: str) -> LoadPlan:
    """A plan from its JSON."""
    values = json.loads(text)
    videos = tuple(KnownVideo(**video) for video in values.pop("videos"))
    return LoadPlan(**values, videos=videos)


if __name__ == "__main__":
    asyncio.run(_main(plan_of(sys.stdin.read())))
