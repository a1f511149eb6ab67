"""What one network says of each video of a set, as a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from motionfit.training.json_record import Record
from motionfit.training.manifest import Row
from motionfit.training.whole_files import written_whole

DIGITS = 5

Scores = NDArray[np.float64]
Lines = tuple[tuple[float, ...], ...]


class Answers(Record):
    """Class scores of V videos, sorted by name."""

    labels: tuple[str, ...]
    """C classes."""
    videos: tuple[str, ...]
    true: tuple[str, ...]
    """The class of each video."""
    groups: tuple[str, ...]
    frame_rates: tuple[float, ...]
    """Frames per second of each file, rounded to 0.01."""
    scores: Lines
    """V x C; a line adds up to 1."""
    retimed: Lines | None
    """The same for the videos re-timed to another frame rate; null where that was not looked at."""

    @classmethod
    def of(
        cls,
        rows: Sequence[Row],
        *,
        labels: Sequence[str],
        frame_rates: Sequence[float],
        scores: Scores,
        retimed: Scores | None,
    ) -> Self:
        """The answers for ``rows``: scores (V, C), and those for the re-timed videos (V, C)."""
        order = sorted(range(len(rows)), key=lambda place: rows[place].name)
        return cls(
            labels=tuple(labels),
            videos=tuple(rows[place].name for place in order),
            true=tuple(rows[place].label for place in order),
            groups=tuple(rows[place].columns["group"] for place in order),
            frame_rates=tuple(round(frame_rates[place], 2) for place in order),
            scores=_lines(scores[order]),
            retimed=None if retimed is None else _lines(retimed[order]),
        )


def write_answers(answers: Answers, path: Path) -> None:
    """Write JSON, complete or not at all."""
    with written_whole(path) as unfinished:
        unfinished.write_text(answers.document(), encoding="utf-8")


def read_answers(path: Path) -> Answers:
    """Read what ``write_answers`` wrote."""
    return Answers.model_validate_json(path.read_bytes())


def _lines(scores: Scores) -> Lines:
    return tuple(tuple(map(float, line)) for line in scores.round(DIGITS))
