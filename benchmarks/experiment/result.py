"""The results file of the experiment: every network's answer to every video, and the figures."""

from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, Field

from motionfit.benchmarks.experiment.protocol import Protocol
from motionfit.benchmarks.machine import Machine
from motionfit.benchmarks.result import ResultError, checked, read_json
from motionfit.training.json_record import Estimate, Record
from motionfit.training.whole_files import written_whole

FORMAT: Final = 1
KIND: Final = "experiment"


class VideoSet(Record):
    """The videos that the networks of one split are measured on, in the order of the answers."""

    split: str
    videos: tuple[str, ...]
    true: tuple[int, ...]
    """Place of the right class in ``labels``."""
    groups: tuple[str, ...]
    frame_rates: tuple[float, ...]
    """Frames per second of each file, rounded to 0.01."""


class ArmCell(Record):
    """One arm in one drawing of labels. Answers are places in ``labels``."""

    name: str
    """``split2-seed0-labels3/motionfit``"""
    arm: str
    split: str
    seed: int
    labelled: tuple[str, ...]
    """The groups whose labels were known."""
    top1: float
    answers: tuple[int, ...]
    """The class with the best score."""
    answers_within_rate: tuple[int, ...]
    """The best of the classes that have videos of the same frame rate."""
    answers_retimed: tuple[int, ...] | None
    """Of the video re-timed to another frame rate; null where that was not looked at."""


class Measure(Record):
    """One figure of an arm. Shares are 0 to 1, intervals 95 % over seeds x class-groups."""

    name: str
    """``top1``; ``within-rate``: right among the classes of the video's own frame rate, so that
    knowing the rate is no help, and ``within-25``, ``within-29.97`` of those videos alone;
    ``retimed``: top-1 re-timed; ``retimed-change``: that less top-1."""
    value: Estimate
    difference: Estimate | None
    """To random initialisation with as many clips, video by video in the cells that both have; null
    for that arm itself and where there is none."""


class Summary(Record):
    """One arm with one number of labelled groups, over seeds and splits."""

    name: str
    """``labels3/motionfit``"""
    arm: str
    labelled_groups: int
    cells: int
    """Seeds x splits."""
    per_cell: dict[str, float]
    """Top-1 of each cell."""
    measures: tuple[Measure, ...]


class Comparison(Record):
    """One arm less another: difference of top-1, video by video."""

    name: str
    """``labels3/motionfit-shuffled``"""
    to: str
    labelled_groups: int
    cells: int
    """Seeds x splits that both have."""
    top1: Estimate
    within_rate: Estimate


class LabelAccuracy(Record):
    """How right pseudo-labels are, means over cells; shares 0 to 1."""

    name: str
    """``labels3/labels-flow``"""
    cells: int
    unseen_pieces: float
    """Of single pieces of videos that the teacher was not trained on"""
    unseen_videos: float
    """Of these videos, by the mean of the targets of their pieces"""
    seen_pieces: float
    """Of pieces of the labelled videos, which the teacher was trained on"""


class Spent(Record):
    """Time of one core."""

    stage: str
    jobs: int
    hours: float
    """Of the attempts that the experiment saw the end of."""


class ArmSpent(Record):
    """Time of one core for one arm."""

    name: str
    """``labels3/motionfit``"""
    cells: int
    """That are done"""
    minutes: float
    """Of one cell, on average: of all jobs that the arm needs there, also those that it shares with
    others, in the attempts that the experiment saw the end of."""


class Part(Record):
    """A results file whose cells are in a joined one."""

    file: str
    command: str
    created_utc: AwareDatetime
    git_revision: str | None
    cells: int
    machine: Machine
    libraries: dict[str, str]


class ExperimentResult(Record):
    """Everything about the experiment: enough to redo the figures, or all of it."""

    format: Literal[1] = FORMAT
    kind: Literal["experiment"] = KIND
    command: str
    created_utc: AwareDatetime
    git_revision: str | None
    trained_by: tuple[str, ...]
    """Git revisions of the code that the jobs last ran, more than one if it changed in between."""
    measured_on: Literal["test", "validation"]
    dataset: str
    cross_domain: tuple[str, ...] = ()
    """Data sets that together are another unlabelled source, in the arm of that name or in all"""
    protocol: Protocol
    machine: Machine
    libraries: dict[str, str]
    resampling_seed: int
    labels: tuple[str, ...]
    primary: Comparison | None
    """The one comparison named beforehand; null while it is not there."""
    gate: Comparison | None = None
    """The flow network less the RGB network of as many clips, asked first; null while it is not
    there"""
    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]
    """MotionFit less each other arm"""
    pseudo_labels: tuple[LabelAccuracy, ...] = ()
    spent: tuple[Spent, ...]
    spent_by_arm: tuple[ArmSpent, ...] = ()
    missing: tuple[str, ...]
    """What the protocol asks for and is not there."""
    video_sets: tuple[VideoSet, ...]
    cells: tuple[ArmCell, ...] = Field(min_length=1)
    parts: tuple[Part, ...] = ()
    """The files that were joined to this one, where it was made so: ``machine`` and ``libraries``
    are then those of the joining; those of the measuring stand in the parts."""

    def main(self) -> tuple[Summary, ...]:
        """The arms of the comparison, with its number of labelled groups."""
        explored = {one.arm for one in self.protocol.exploratory}
        return tuple(
            one
            for one in self.summaries
            if one.labelled_groups == self.protocol.labelled_groups and one.arm not in explored
        )

    def exploratory(self) -> tuple[Summary, ...]:
        """What was tried in one cell."""
        explored = {one.arm for one in self.protocol.exploratory}
        return tuple(one for one in self.summaries if one.arm in explored)


def write_experiment(result: ExperimentResult, path: Path) -> None:
    """Write JSON, complete or not at all."""
    with written_whole(path) as unfinished:
        unfinished.write_text(result.document(), encoding="utf-8")


def read_experiment(path: Path) -> ExperimentResult:
    """Read and check a results file of the experiment. Raises ResultError."""
    values = read_json(path)
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise ResultError(f"{path} is not a result of  motionfit-bench experiment")
    return checked(values, ExperimentResult, path=path)
