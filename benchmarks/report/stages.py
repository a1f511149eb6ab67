"""The stages between a video's bytes and its answer, and a stopwatch for them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

STAGES = ("receive", "decode", "sample", "scale", "flow", "copy", "infer", "post")
"""What each is:

- ``receive``: the file comes through a local TCP connection and is written to a temporary file;
- ``sample``: the container is opened and indexed, and the moments of the clips are chosen;
- ``decode``: pictures come out of the decoder;
- ``scale``: they become RGB of the size that a network, or the flow, takes;
- ``flow``: optical flow is computed, or read from where it was stored;
- ``copy``: pictures and fields are put together as the arrays that the engine takes;
- ``infer``: the networks;
- ``post``: scores, their mean over clips and networks.
"""

NANOSECONDS_PER_MS = 1_000_000


@dataclass(kw_only=True)
class Stopwatch:
    """Milliseconds of stages, added up."""

    spent_ms: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to a stage. A block inside another counts for both."""
        start = time.perf_counter_ns()
        try:
            yield
        finally:
            self.add(name, ms=(time.perf_counter_ns() - start) / NANOSECONDS_PER_MS)

    def add(self, name: str, *, ms: float) -> None:
        """Add milliseconds, which may be negative, to a stage."""
        self.spent_ms[name] += ms
