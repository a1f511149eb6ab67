"""An answer, or why there is none, as a line: for people, or as JSON."""

import json
from pathlib import Path

from rich.markup import escape

from motionfit.inference.classifier import Answer
from motionfit.inference.console import stderr
from motionfit.serving.schemas import AnswerBody


def local_body(answer: Answer) -> AnswerBody:
    """The body that a server would send for an answer that needed none."""
    return AnswerBody.of(answer, timings_ms={})


def as_text(video: Path | str, body: AnswerBody) -> str:
    """``clip.mp4: Biking  (Biking 91.2 %, HorseRiding 6.0 %)  81 ms``; then, indented, the parts
    of a timeline and the notes.
    """
    scores = ", ".join(f"{best.label} {best.score:.1%}" for best in body.top)
    milliseconds = body.timings_ms.total
    line = f"{video}: {body.label or 'none of these'}  ({scores})  {milliseconds:.0f} ms"
    segments = body.timeline.segments if body.timeline is not None else ()
    parts = [
        f"{_clock(part.start_seconds)} - {_clock(part.end_seconds)}  {part.label} {part.score:.1%}"
        for part in segments
    ]
    return "\n    ".join([line, *parts, *body.video.notes])


def as_json_line(video: Path | str, body: AnswerBody) -> str:
    """The body with the file's name."""
    return json.dumps({"file": str(video), **body.model_dump()})


def print_failure(video: Path | str, error: Exception) -> None:
    """Say on stderr why a video got no answer."""
    stderr.print(f"[bold red]error:[/] {escape(f'{video}: {error}')}")


def _clock(seconds: float) -> str:
    """``0:07.2``, ``62:05.0``."""
    minutes, tenths = divmod(round(seconds * 10), 600)
    return f"{minutes}:{tenths / 10:04.1f}"
