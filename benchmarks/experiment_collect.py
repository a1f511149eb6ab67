"""The folder of an experiment, finished or not -> its results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionfit.benchmarks import machine
from motionfit.benchmarks.experiment_answers import Answers, read_answers
from motionfit.benchmarks.experiment_figures import comparisons, summaries
from motionfit.benchmarks.experiment_graph import Job, answers, in_order
from motionfit.benchmarks.experiment_protocol import (
    MOTIONFIT,
    RANDOM,
    Entry,
    MeasuredOn,
    Protocol,
    entries,
)
from motionfit.benchmarks.experiment_result import ArmCell, ExperimentResult, Spent, VideoSet
from motionfit.benchmarks.experiment_runner import ExperimentError, is_done, read_record
from motionfit.training.provenance import git_revision
from motionfit.training.resampling import rounded

RESAMPLING_SEED = 0

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


def collect(experiment: Experiment, *, command: str) -> ExperimentResult:
    """The results of what is done. Raises ExperimentError when that is nothing."""
    cells: list[ArmCell] = []
    sets: dict[str, VideoSet] = {}
    missing = []
    labels: tuple[str, ...] = ()
    for entry in experiment.entries():
        jobs = experiment.answers(entry)
        if not all(is_done(job, runs=experiment.runs) for job in jobs):
            missing.append(entry.name)
            continue
        read = [read_answers(experiment.runs / str(job.output)) for job in jobs]
        labels = read[0].labels
        videos = _videos(read[0], split=entry.cell.split.name)
        if sets.setdefault(videos.split, videos) != videos:
            raise ExperimentError(f"{entry.name} was measured on other videos than the others")
        cells.append(cell_of(entry, read))
    if not cells:
        raise ExperimentError(f"nothing is measured on {experiment.on} in {experiment.runs} yet")
    compared = comparisons(cells, sets=sets, seed=RESAMPLING_SEED)
    primary = f"labels{experiment.protocol.labelled_groups}/{MOTIONFIT}-{RANDOM}"
    return ExperimentResult(
        command=command,
        created_utc=datetime.now(UTC).replace(microsecond=0),
        git_revision=git_revision(),
        trained_by=_revisions(experiment),
        measured_on=experiment.on,
        dataset=experiment.data.name,
        protocol=experiment.protocol,
        machine=machine.describe(),
        libraries=machine.libraries(),
        resampling_seed=RESAMPLING_SEED,
        labels=labels,
        primary=next((one for one in compared if one.name == primary), None),
        summaries=summaries(cells, sets=sets, seed=RESAMPLING_SEED),
        comparisons=compared,
        spent=_spent(experiment),
        missing=tuple(missing),
        video_sets=tuple(sets.values()),
        cells=tuple(cells),
    )


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
        own = np.unique(true[chosen])
        best[chosen] = own[scores[np.ix_(chosen, own)].argmax(axis=1)]
    return best


def _integers(values: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(map(int, values))


def _spent(experiment: Experiment) -> tuple[Spent, ...]:
    """Core hours of each kind of job."""
    jobs = in_order(job for entry in experiment.entries() for job in experiment.answers(entry))
    seconds = _seconds_by_stage(jobs, runs=experiment.runs)
    return tuple(
        Spent(stage=stage, jobs=len(own), hours=rounded(sum(own) / 3600))
        for stage, own in seconds.items()
    )


def _revisions(experiment: Experiment) -> tuple[str, ...]:
    jobs = in_order(job for entry in experiment.entries() for job in experiment.answers(entry))
    records = (read_record(job, runs=experiment.runs) for job in jobs)
    return tuple(sorted({one.revision for one in records if one and one.revision}))


def _seconds_by_stage(jobs: Iterable[Job], *, runs: Path) -> Mapping[str, list[float]]:
    found: dict[str, list[float]] = {}
    for job in jobs:
        if record := read_record(job, runs=runs):
            found.setdefault(job.stage, []).append(sum(record.seconds))
    return found
