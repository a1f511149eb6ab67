"""Plays scripted requests against a server, several at once, and judges the answers."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from motionfit.benchmarks.endure_requests import Script
from motionfit.benchmarks.load_plan import alike, fingerprint
from motionfit.benchmarks.result import Fault
from motionfit.benchmarks.wire import Address, Connection, Exchange

TIMEOUT_SECONDS = 60.0
RETRIES = 60
RETRY_SECONDS = 0.5
OVERLOADED = 503

Seen = tuple[int, Any]
"""A status, and of what was answered what does not change from time to time."""


@dataclass(kw_only=True)
class Endurer:
    """Asks a server and keeps count."""

    address: Address
    clients: int
    right: dict[Script, Seen] = field(default_factory=dict)
    """Of each exact script, what was answered when it was asked alone."""
    count: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Kind and outcome -> requests."""
    faults: list[Fault] = field(default_factory=list)
    """Requests that were not answered as they should."""

    async def learn(self, scripts: Iterable[Script], *, after_request: Callable[[], None]) -> None:
        """Ask each script that has an exact answer alone, and keep the answer as the right one."""
        for script in scripts:
            if script.statuses and script.exact:
                seen = await self._play(script)
                if isinstance(seen, str) or seen[0] not in script.statuses:
                    self._fault(script, f"alone: {seen}")
                else:
                    self.right[script] = seen
            after_request()

    async def endure(self, scripts: Iterable[Script], *, after_request: Callable[[], None]) -> None:
        """Play all scripts, ``clients`` at a time."""
        waiting = iter(scripts)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.clients):
                group.create_task(self._client(waiting, after_request))

    async def _client(self, waiting: Iterator[Script], after_request: Callable[[], None]) -> None:
        for script in waiting:
            seen = await self._play(script)
            for _ in range(RETRIES):
                if isinstance(seen, str) or seen[0] != OVERLOADED:
                    break
                self.count[script.kind, "overloaded"] += 1
                await asyncio.sleep(RETRY_SECONDS)
                seen = await self._play(script)
            self._judge(script, seen)
            after_request()

    async def _play(self, script: Script) -> Seen | str:
        """What was answered; in words, when nothing was."""
        connection = None
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                connection = await Connection.open(self.address)
                if not script.statuses:
                    await connection.send(script.pieces)
                    return "hung up"
                return _seen(await connection.ask(script.pieces))
        except (OSError, TimeoutError) as error:
            return str(error) or type(error).__name__
        finally:
            if connection is not None:
                connection.abort()

    def _judge(self, script: Script, seen: Seen | str) -> None:
        if isinstance(seen, str):
            self.count[script.kind, "no answer" if script.statuses else "hung up"] += 1
            if script.statuses and not script.may_hang_up:
                self._fault(script, seen)
            return
        self.count[script.kind, str(seen[0])] += 1
        if script.exact:
            expected = self.right.get(script)
            if expected is not None and not alike(list(seen), list(expected)):
                self._fault(script, f"{seen} instead of {expected}")
        elif seen[0] not in script.statuses:
            self._fault(script, f"{seen} instead of one of {sorted(script.statuses)}")

    def _fault(self, script: Script, what: str) -> None:
        self.faults.append(Fault(name=f"{script.kind}: {script.name}", what=what[:500]))


def _seen(exchange: Exchange) -> Seen:
    body: Mapping[str, Any] = json.loads(exchange.body)
    if exchange.status != 200:
        return exchange.status, body.get("code")
    timeline = body.get("timeline")
    windows = None if timeline is None else len(timeline["windows"])
    embedding = None if body.get("embedding") is None else len(body["embedding"])
    return 200, [*fingerprint(body), len(body["top"]), windows, embedding]
