"""The folder of an experiment, finished or not -> its results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionfit.benchmarks import machine
from motionfit.benchmarks.experiment.answers import Answers, read_answers
from motionfit.benchmarks.experiment.figures import RESAMPLING_SEED, figures_of
from motionfit.benchmarks.experiment.graph import Job, answers, in_order
from motionfit.benchmarks.experiment.labels import label_accuracies
from motionfit.benchmarks.experiment.protocol import (
    Entry,
    MeasuredOn,
    Protocol,
    entries,
)
from motionfit.benchmarks.experiment.result import ArmCell, ExperimentResult, VideoSet
from motionfit.benchmarks.experiment.runner import ExperimentError, is_done, read_record
from motionfit.benchmarks.experiment.spent import spent_by_arm, spent_by_stage
from motionfit.training.provenance import git_revision
from motionfit.training.resampling import rounded
from motionfit.training.scores import best_of_own

Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Which experiment, and where."""

    runs: Path
    data: Path
    protocol: Protocol
    on: MeasuredOn
    cross_domain: tuple[Path, ...] = ()
    """Data sets of other things that are, together, an unlabelled source"""

    def __post_init__(self) -> None:
        if self.on == "validation" and not self.protocol.validation:
            raise ExperimentError("this protocol has no validation videos: nothing is chosen on it")
        if self.protocol.source == "other" and not self.cross_domain:
            raise ExperimentError("the unlabelled source is another data set: give --cross-domain")

    def answers(self, entry: Entry) -> tuple[Job, ...]:
        """The jobs whose answers, averaged, are those of an arm."""
        return answers(
            entry,
            protocol=self.protocol,
            data=self.data,
            cross_domain=self.cross_domain,
            on=self.on,
        )

    def entries(self) -> tuple[Entry, ...]:
        """All that the protocol asks for."""
        return entries(self.protocol, on=self.on, cross_domain=bool(self.cross_domain))

    def jobs(self, patterns: Sequence[str]) -> tuple[Job, ...]:
        """The jobs of the arms whose names match a pattern, and what they need, in order.

        Raises ExperimentError when no arm does.
        """
        chosen = [
            entry
            for entry in self.entries()
            if any(fnmatchcase(entry.name, pattern) for pattern in patterns)
        ]
        if not chosen:
            names = ", ".join(dict.fromkeys(entry.arm for entry in self.entries()))
            raise ExperimentError(
                f"no arm matches {' or '.join(patterns)}; one is called "
                f"{self.entries()[0].name}, and the arms are {names}"
            )
        return in_order(job for entry in chosen for job in self.answers(entry))


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What is done of some entries."""

    jobs: Mapping[Entry, Sequence[Job]]
    """Of the answers, of each entry that is done"""
    cells: tuple[ArmCell, ...]
    labels: tuple[str, ...]
    sets: Mapping[str, VideoSet]
    """By split"""


def collect(experiment: Experiment, *, entries: Sequence[Entry], command: str) -> ExperimentResult:
    """The results of what is done of ``entries``. Raises ExperimentError when that is nothing."""
    measured = _measured(experiment, entries)
    cells, runs = measured.cells, experiment.runs
    figures = figures_of(cells, sets=measured.sets, protocol=experiment.protocol)
    jobs = in_order(job for entry in entries for job in experiment.answers(entry))
    return ExperimentResult(
        command=command,
        created_utc=datetime.now(UTC).replace(microsecond=0),
        git_revision=git_revision(),
        trained_by=_revisions(jobs, runs=runs),
        measured_on=experiment.on,
        dataset=experiment.data.name,
        cross_domain=tuple(source.name for source in experiment.cross_domain),
        protocol=experiment.protocol,
        machine=machine.describe(),
        libraries=machine.libraries(),
        resampling_seed=RESAMPLING_SEED,
        labels=measured.labels,
        primary=figures.primary,
        gate=figures.gate,
        summaries=figures.summaries,
        comparisons=figures.comparisons,
        pseudo_labels=label_accuracies(jobs, runs=runs),
        spent=spent_by_stage(jobs, runs=runs),
        spent_by_arm=spent_by_arm(measured.jobs, runs=runs),
        missing=tuple(entry.name for entry in entries if entry not in measured.jobs),
        video_sets=tuple(measured.sets.values()),
        cells=cells,
    )


def _measured(experiment: Experiment, entries: Sequence[Entry]) -> _Measured:
    runs = experiment.runs
    answers = {entry: experiment.answers(entry) for entry in entries}
    done = {
        entry: jobs
        for entry, jobs in answers.items()
        if all(is_done(job, runs=runs) for job in jobs)
    }
    if not done:
        raise ExperimentError(f"nothing is measured on {experiment.on} in {runs} yet")
    read = {
        entry: [read_answers(runs / str(job.output)) for job in jobs]
        for entry, jobs in done.items()
    }
    return _Measured(
        jobs=done,
        cells=tuple(cell_of(entry, own) for entry, own in read.items()),
        labels=next(iter(read.values()))[0].labels,
        sets=video_sets(read),
    )


def video_sets(read: Mapping[Entry, Sequence[Answers]]) -> Mapping[str, VideoSet]:
    """The videos of each split. Raises ExperimentError when not all networks saw the same ones."""
    labels = {one.labels for own in read.values() for one in own}
    if len(labels) > 1:
        raise ExperimentError(f"networks know different classes: {' and '.join(map(str, labels))}")
    sets: dict[str, VideoSet] = {}
    for entry, own in read.items():
        for one in own:
            videos = _videos(one, split=entry.cell.split.name)
            if sets.setdefault(videos.split, videos) != videos:
                raise ExperimentError(f"{entry.name} was measured on other videos than the others")
    return sets


def _videos(answers: Answers, *, split: str) -> VideoSet:
    return VideoSet(
        split=split,
        videos=answers.videos,
        true=tuple(answers.labels.index(label) for label in answers.true),
        groups=answers.groups,
        frame_rates=answers.frame_rates,
    )


def cell_of(entry: Entry, read: Sequence[Answers]) -> ArmCell:
    """What one network says, or several by the mean of their scores."""
    first = read[0]
    scores = np.mean([one.scores for one in read], axis=0)  # (V, C)
    retimed = [one.retimed for one in read if one.retimed is not None]
    true = np.array([first.labels.index(label) for label in first.true])
    best = scores.argmax(axis=1)
    return ArmCell(
        name=entry.name,
        arm=entry.arm,
        split=entry.cell.split.name,
        seed=entry.cell.seed,
        labelled=entry.cell.labelled,
        top1=rounded(float((best == true).mean())),
        answers=_integers(best),
        answers_within_rate=_integers(_within_rate(scores, true=true, rates=first.frame_rates)),
        answers_retimed=_integers(np.mean(retimed, axis=0).argmax(axis=1))
        if len(retimed) == len(read)
        else None,
    )


def _within_rate(
    scores: Scores, *, true: NDArray[np.int64], rates: Sequence[float]
) -> NDArray[np.int64]:
    """The best of the classes that have videos of the same frame rate, (V,)."""
    rate_of = np.array(rates)
    best = np.zeros(len(scores), np.int64)
    for rate in set(rates):
        chosen = rate_of == rate
        best[chosen] = best_of_own(scores[chosen], true=true[chosen])[1]
    return best


def _integers(values: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(map(int, values))


def _revisions(jobs: Iterable[Job], *, runs: Path) -> tuple[str, ...]:
    records = (read_record(job, runs=runs) for job in jobs)
    return tuple(sorted({one.revision for one in records if one and one.revision}))
