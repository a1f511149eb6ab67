"""Ctrl-C and SIGTERM as a wish that long work looks at between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class StopWish:
    """Whether somebody asked to stop."""

    made: bool = False


@contextmanager
def stop_wish() -> Iterator[StopWish]:
    """While inside, the first Ctrl-C or SIGTERM is noted and the second acts as it did before."""
    wish = StopWish()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        wish.made = True
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield wish
    finally:
        restore()
