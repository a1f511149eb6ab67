"""videos.csv of a run folder: which video was used for what.

An evaluation reads it, so that nobody takes the accuracy on training videos for that on new ones.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from motionfit.training.manifest import Row
from motionfit.training.whole_files import written_whole

FILE = "videos.csv"
USED = "used"
"""The column that says what a video was used for."""
TRAINING, HELD_OUT = "training", "held_out"


def write_used(run: Path, *, training: Sequence[Row], held_out: Sequence[Row]) -> None:
    """Write the list of a run's videos, replacing an older one only when it is complete."""
    with (
        written_whole(run / FILE) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["path", "label", USED])
        writer.writerows((row.name, row.label, TRAINING) for row in training)
        writer.writerows((row.name, row.label, HELD_OUT) for row in held_out)


def read_used(run: Path) -> Mapping[str, str]:
    """Each video's name and what the run used it for; empty when ``run`` is a checkpoint alone."""
    try:
        with (run / FILE).open(encoding="utf-8", newline="") as file:
            return {line["path"]: line[USED] for line in csv.DictReader(file)}
    except (FileNotFoundError, NotADirectoryError):
        return {}
