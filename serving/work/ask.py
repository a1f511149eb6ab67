"""What a request asks about its video."""

from dataclasses import dataclass

from motionfit.inference.sampling import WHOLE, Span


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is asked about a video, by a request or on the command line. It has been checked."""

    clips: int | None = None
    """Clips to look at; None: the bundle's own number. Not for a timeline."""
    top: int = 5
    """Classes to name, at least 1."""
    span: Span = WHOLE
    """The part of the video to look at."""
    embedding: bool = False
    timeline: bool = False
    stride_seconds: float | None = None
    """From the start of a timeline's window to the next; None: the default."""
