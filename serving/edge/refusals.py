"""Counts and log lines of connections that are refused before there is a request."""

import asyncio
import logging
from collections import Counter, defaultdict

from motionfit.serving.metrics import OTHER, Metrics

log = logging.getLogger("motionfit.access")
_SECONDS = 1.0
_MOST_NAMED = 10


class Refusals:
    """Counts each; a flood of them is a line for each cause and second."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._counts: Counter[str] = Counter()
        self._named: defaultdict[str, list[dict[str, str | None]]] = defaultdict(list)

    def add(self, code: str, *, status: int, request_id: str, client: str | None) -> None:
        """A connection was answered with ``status`` and closed, for the cause ``code``."""
        self._metrics.rejected(code)
        self._metrics.responded(route=OTHER, status=status)
        if not self._counts:
            asyncio.get_running_loop().call_later(_SECONDS, self._tell)
        self._counts[code] += 1
        if len(self._named[code]) < _MOST_NAMED:
            self._named[code].append({"request_id": request_id, "client": client})

    def _tell(self) -> None:
        for code, count in self._counts.items():
            record = {"problem": code, "count": count, "first": self._named[code]}
            log.info("connections refused: %d, %s", count, code, extra=record)
        self._counts.clear()
        self._named.clear()
