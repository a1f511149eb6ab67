"""A bounded queue: a request that would wait too long is refused at once."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from motionfit.serving.errors import DeadlineExceeded, Overloaded
from motionfit.serving.work.deadline import Deadline

_MEMORY = 0.9  # what a request's time weighs beside the next one's, in the average
_MARGIN = 2.0  # others may come to share the machine, and some videos take longer than most


class Admission:
    """Counts the requests that are inside, and knows how long they take.

    ``servers`` requests are worked on at a time, ``limit`` more may wait. For the event loop's
    thread alone.
    """

    def __init__(
        self, limit: int, *, servers: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._servers, self._clock = limit, servers, clock
        self._inside = 0
        self._changed = clock()
        self._busy = 0.0  # seconds of work, of all servers together, since a request was last done
        self._busy_sum = self._done_sum = 0.0

    @property
    def waiting(self) -> int:
        """Requests that wait for others."""
        return max(0, self._inside - self._servers)

    def check(self, deadline: Deadline) -> None:
        """Raise Overloaded when a request that came now would not be let in."""
        if self._inside < self._servers:
            return
        if self.waiting >= self._limit:
            raise self._overloaded(f"{self.waiting} requests wait already, as many as may")
        if (self.wait_seconds() + self._work_seconds()) * _MARGIN > deadline.remaining():
            raise self._overloaded(
                f"the {self.waiting} requests that wait already would take most of the "
                f"{deadline.seconds:g} s allowed"
            )

    @contextmanager
    def enter(self, deadline: Deadline) -> Iterator[None]:
        """Be inside. Raises Overloaded at once when there is no place, or no time."""
        self.check(deadline)
        self._change(1)
        done = True
        try:
            yield
        except (asyncio.CancelledError, DeadlineExceeded):
            done = False  # who gave up does not tell how long a request takes
            raise
        finally:
            self._change(-1)
            if done:
                self._remember()

    def wait_seconds(self) -> float:
        """How long a request that came now would wait for its turn, as far as is known."""
        ahead = max(0, self._inside - self._servers + 1)
        return self._work_seconds() * ahead / self._servers

    def _work_seconds(self) -> float:
        """The time of one server that a request takes, an average of the last ones."""
        return self._busy_sum / self._done_sum if self._done_sum else 0.0

    def _change(self, count: int) -> None:
        now = self._clock()
        self._busy += (now - self._changed) * min(self._inside, self._servers)
        self._changed = now
        self._inside += count

    def _remember(self) -> None:
        self._busy_sum = self._busy_sum * _MEMORY + self._busy
        self._done_sum = self._done_sum * _MEMORY + 1
        self._busy = 0.0

    def _overloaded(self, why: str) -> Overloaded:
        seconds = max(1, math.ceil(self.wait_seconds()))
        return Overloaded(f"{why}; try again in {seconds} s", retry_after_seconds=seconds)
