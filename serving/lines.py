"""An answer as one line: for people, or as JSON."""

import json
from pathlib import Path

from motionfit.inference.classifier import Answer
from motionfit.serving.schemas import AnswerBody


def as_text(video: Path, answer: Answer) -> str:
    """``clip.mp4: Biking  (Biking 91.2 %, HorseRiding 6.0 %)  81 ms``, then the notes, indented."""
    scores = ", ".join(f"{best.label} {best.score:.1%}" for best in answer.top)
    milliseconds = answer.timings_ms["total"]
    line = f"{video}: {answer.label or 'none of these'}  ({scores})  {milliseconds:.0f} ms"
    return "\n".join([line, *(f"    {note}" for note in answer.video.notes)])


def as_json_line(video: Path, answer: Answer) -> str:
    """The body that the server would send, with the file's name."""
    body = AnswerBody.of(answer, timings_ms={"receive": 0.0})
    return json.dumps({"file": str(video), **body.model_dump()})
