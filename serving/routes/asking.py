"""The query parameters of /classify."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from motionfit.inference.sampling import Span
from motionfit.serving.errors import BadParameter
from motionfit.serving.settings import Settings
from motionfit.serving.work.ask import Ask

_DAY_SECONDS = 86_400
_Start = Annotated[
    float,
    Query(ge=0, le=_DAY_SECONDS, description="Look at the video from here on, in seconds."),
]
_End = Annotated[
    float | None,
    Query(gt=0, le=_DAY_SECONDS, description="... and up to here; the end by default."),
]
_Embedding = Annotated[bool, Query(description="Answer with the embedding of what was seen.")]
_Timeline = Annotated[
    bool, Query(description="Look at all of the video, and answer what is done when.")
]
_Stride = Annotated[
    float | None,
    Query(
        ge=0.001,
        le=_DAY_SECONDS,
        description="With timeline: seconds from the start of a window to the next.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked, and how long the answer may take after the request's last byte."""

    ask: Ask
    deadline_seconds: float


def asking(settings: Settings) -> Callable[..., Awaitable[Asked]]:
    """A dependency that reads the query. It raises BadParameter."""

    # A coroutine, although it awaits nothing: other functions would be called on a thread.
    async def asked(
        clips: Annotated[
            int | None,
            Query(
                ge=1,
                le=settings.max_clips,
                description="Clips to look at; the model's own by default. Not with timeline.",
            ),
        ] = None,
        top: Annotated[int, Query(ge=1, description="Classes to name, best first.")] = 5,
        start: _Start = 0.0,
        end: _End = None,
        embedding: _Embedding = False,
        timeline: _Timeline = False,
        stride: _Stride = None,
        deadline: Annotated[
            float | None,
            Query(
                ge=0.01,
                le=_DAY_SECONDS,
                description="Seconds from the request's last byte to the answer, at most "
                f"{settings.deadline_seconds:g} ({settings.timeline_deadline_seconds:g} with "
                "timeline), which is also the default.",
            ),
        ] = None,
    ) -> Asked:
        if timeline and clips is not None:
            raise BadParameter(f"clips: a timeline looks at the whole video, got clips={clips}")
        if stride is not None and not timeline:
            raise BadParameter(f"stride: only with timeline=true, got stride={stride:g} without")
        if end is not None and end <= start:
            raise BadParameter(f"end: must be over start={start:g}, got {end:g}")
        longest = settings.timeline_deadline_seconds if timeline else settings.deadline_seconds
        if deadline is not None and deadline > longest:
            raise BadParameter(f"deadline: at most {longest:g} s, got {deadline:g}")
        ask = Ask(
            clips=clips,
            top=top,
            span=Span(start_seconds=start, end_seconds=end),
            embedding=embedding,
            timeline=timeline,
            stride_seconds=stride,
        )
        return Asked(ask=ask, deadline_seconds=deadline or longest)

    return asked
