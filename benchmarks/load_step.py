"""One step of a load test: what became of the requests that were made at one rate."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from motionfit.benchmarks.load_plan import Sent
from motionfit.benchmarks.result import Fault, Figure, TimedCase

Fate = Literal["answered", "wrong", "refused", "failed"]
FATES: tuple[Fate, ...] = ("answered", "wrong", "refused", "failed")
KEPT_SHARE = 0.99
"""Of a step's requests must be answered, and rightly, where the server keeps up."""
KEPT_DRAIN = 0.05
"""Of a step's time may pass after its last request until all are answered, and no more."""
MOST_FAULTS = 20

REFUSALS = {429, 503}


@dataclass(frozen=True, kw_only=True)
class Step:
    """Requests at one rate. Times are seconds from the step's start."""

    name: str
    """The first part of the names of its cases and figures."""
    rate: float
    """Requests a second that were planned."""
    sent: tuple[Sent, ...]
    """In the order of their schedule; at least one."""
    whole: bool
    """False when the step was stopped before its end."""
    idle_seconds: float
    """What an answer takes when the server has nothing else to do."""
    cpu_seconds: float | None
    """What making the requests took of this machine; None when the step was stopped."""

    @cached_property
    def count(self) -> Counter[Fate]:
        """How many requests met which fate."""
        return Counter(fate_of(one) for one in self.sent)

    @property
    def seconds(self) -> float:
        """From the start to the last answer, or the last request that got none."""
        return max(one.answered_s or one.started_s for one in self.sent)

    @property
    def answered_per_second(self) -> float:
        """Right answers a second."""
        return self.count["answered"] / self.seconds

    @property
    def keeps_up(self) -> bool:
        """Whether the server answers as many as come: hardly any is lost, and none piles up."""
        last = self.sent[-1].scheduled_s
        drained = self.seconds <= last * (1 + KEPT_DRAIN) + 2 * self.idle_seconds
        return drained and self.count["answered"] >= KEPT_SHARE * len(self.sent)

    def latencies_ms(self) -> list[float]:
        """Of the right answers, from when their requests were scheduled."""
        return [one.latency_ms for one in self.sent if fate_of(one) == "answered"]

    def refusals_ms(self) -> list[float]:
        """Of the refusals, from the last byte of their requests."""
        return [one.after_last_byte_ms for one in self.sent if fate_of(one) == "refused"]

    def cases(self, *, seed: int) -> list[TimedCase]:
        """Latencies of answers, and of refusals, where there are any."""
        samples = {"answered": self.latencies_ms(), "refused": self.refusals_ms()}
        return [
            TimedCase.of(f"{self.name}/{kind}", values, seed=seed)
            for kind, values in samples.items()
            if values
        ]

    def figures(self) -> list[Figure]:
        """Counts by fate, what was reached, and how punctual and how costly the client was."""
        late_ms = max((one.started_s - one.scheduled_s) * 1000 for one in self.sent)
        figures = [self._figure(fate, "requests", self.count[fate]) for fate in FATES]
        figures += [
            self._figure("answered-per-second", "1/s", self.answered_per_second),
            self._figure("client-late-by-up-to", "ms", late_ms),
        ]
        if self.cpu_seconds is not None:
            figures.append(self._figure("client-cores", "cores", self.cpu_seconds / self.seconds))
        return figures

    def faults(self, *, videos: Sequence[str]) -> list[Fault]:
        """The first wrong answers and lost requests. ``videos`` are the names of the plan's."""
        bad = [one for one in self.sent if fate_of(one) in {"wrong", "failed"}]
        return [
            Fault(name=f"{self.name}/{videos[one.video]}", what=_what(one))
            for one in bad[:MOST_FAULTS]
        ]

    def _figure(self, name: str, unit: str, value: float) -> Figure:
        return Figure(name=f"{self.name}/{name}", unit=unit, value=round(value, 4))


def fate_of(one: Sent) -> Fate:
    """What became of a request."""
    if one.status == 200:
        return "answered" if one.right else "wrong"
    return "refused" if one.status in REFUSALS else "failed"


def _what(one: Sent) -> str:
    if one.status is None:
        return one.error or "no answer"
    if one.status == 200:
        return "another answer than when it was asked alone"
    return f"{one.status} {one.code or ''}".strip()
