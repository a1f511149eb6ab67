"""The moment by which a request must be answered."""

import time
from dataclasses import dataclass
from typing import Self

from motionfit.serving.errors import DeadlineExceeded, WaitedTooLong


@dataclass(frozen=True)
class Deadline:
    """A moment of the monotonic clock."""

    end: float
    """Seconds, as ``time.monotonic`` counts them."""
    seconds: float
    """What was allowed in all."""

    @classmethod
    def of(cls, seconds: float) -> Self:
        """``seconds`` from now."""
        return cls(end=time.monotonic() + seconds, seconds=seconds)

    def remaining(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self.end - time.monotonic())

    def exceeded(self) -> DeadlineExceeded:
        """The error of a request that was being worked on when its time was up."""
        return DeadlineExceeded(
            f"the answer took longer than the {self.seconds:g} s allowed; "
            "send a shorter or smaller video, or fewer clips"
        )

    def waited(self, *, retry_after_seconds: float) -> WaitedTooLong:
        """The error of a request that had to wait until its time was up."""
        return WaitedTooLong(
            f"other requests took all of the {self.seconds:g} s allowed; try again later",
            retry_after_seconds=retry_after_seconds,
        )
