"""What the process that makes load is told, and what it tells of each request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Arrivals = str
"""``poisson`` or ``constant``: at ``rate``. ``closed``: each client waits for its answer first."""
POISSON, CONSTANT, CLOSED = "poisson", "constant", "closed"
TOLERANCE = 1e-3
"""Largest difference of a score, 0 to 1, between two answers that are the same."""
MOST_UNDER_WAY = 2000
"""Requests of an open loop: beyond that it would be the client that runs out of something."""


@dataclass(frozen=True, kw_only=True)
class KnownVideo:
    """A video whose answer is known, so that another client's answer is noticed."""

    path: str
    fingerprint: list[Any] | None
    """Of the right answer; None when the server refuses the video."""


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """Requests to make of a server."""

    url: str
    target: str
    """Path and query: ``/classify?clips=3``."""
    headers: Mapping[str, str]
    videos: tuple[KnownVideo, ...]
    """Each request sends one of them, drawn by ``seed``."""
    arrivals: Arrivals
    requests: int
    rate: float
    """Requests per second; of no meaning when ``arrivals`` is ``closed``."""
    clients: int
    """When ``arrivals`` is ``closed``: how many ask at the same time, each on a connection of its
    own that stays open. Otherwise: the most requests under way; more are not sent."""
    timeout_seconds: float
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """One request. Times are seconds from the first one's."""

    video: int
    """Its number in the plan."""
    scheduled_s: float
    """When it was to be sent. Latency counts from here: a server that is late, and thereby keeps
    a client from asking in time, gains nothing."""
    started_s: float
    """When its first byte was sent."""
    sent_s: float | None
    """When its last byte was sent, or the last before the answer came."""
    answered_s: float | None
    """When the last byte of the answer was there."""
    status: int | None
    code: str | None
    """Of the problem, when the server refused."""
    right: bool | None
    """Whether an answer is that of its video; None when there was no answer."""
    error: str | None
    """Why there was no response at all."""

    @property
    def latency_ms(self) -> float:
        """From when it was scheduled to its answer. For requests with a response."""
        assert self.answered_s is not None
        return (self.answered_s - self.scheduled_s) * 1000

    @property
    def after_last_byte_ms(self) -> float:
        """From the last byte sent to the answer; 0 when the server did not wait for it."""
        assert self.answered_s is not None
        assert self.sent_s is not None
        return max(0.0, self.answered_s - self.sent_s) * 1000


def fingerprint(answer: Mapping[str, Any]) -> list[Any]:
    """What of an answer's JSON depends on the video alone; to be compared by ``alike``."""
    scores = [entry["score"] for entry in answer["top"]]
    return [answer["label"], answer["video"], answer["clips"], scores]


def alike(one: Any, other: Any) -> bool:
    """Whether two fingerprints are equal, but for what the batch that a clip was in may change in
    its scores.
    """
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)
