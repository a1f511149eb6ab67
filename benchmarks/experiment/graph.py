"""The experiment as jobs: command lines of the product, and which needs which.

The jobs run in the experiment's folder, RUNS, and name files in it by relative paths:

    flow/, cache/                            optical flow and decoded videos, of all cells
    cross-domain.csv                         several data sets as one source
    split2-seed0-labels3/teacher-flow/       one stage: a run folder of motionfit-train
    split2-seed0-labels3/motionfit.test.json what the arm's network says of the test videos
    .../STAGE.log, .../STAGE.job.json        what a job printed; its command, and its seconds
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from motionfit.benchmarks.experiment.protocol import (
    APPEARANCE_NETWORK,
    CROSS_DOMAIN,
    FLOW_NETWORK,
    MOTIONFIT,
    RANDOM,
    TWO_STREAM,
    Cell,
    Entry,
    MeasuredOn,
    Modality,
    Protocol,
    Variant,
    random_arm,
    random_clips,
)

Jobs = tuple["Job", ...]
Flags = tuple[str, ...]

Program = Literal["train", "watch", "truth", "sources"]
"""motionfit-train, what answers for a trained network, what puts true labels in the place of
pseudo-labels, or what lists the videos of several data sets"""

FLOW, CACHE = "flow", "cache"
CHECKPOINT, LABELS = "checkpoint.safetensors", "labels.parquet"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command that runs until its files are complete, and goes on after it was killed."""

    name: str
    """Of its log and its record, and where it has a folder, of that: a path inside RUNS"""
    program: Program
    arguments: tuple[str, ...]
    resumed: tuple[str, ...] | None
    """Arguments that go on with a stopped training; None: the same once more"""
    output: str | None
    """The file that appears when the job is done, inside RUNS; None: success is the only sign"""
    needs: Jobs

    @property
    def stage(self) -> str:
        """What kind of work it is, whatever the cell."""
        return self.name.rpartition("/")[2]


def answers(
    entry: Entry,
    *,
    protocol: Protocol,
    data: Path,
    cross_domain: tuple[Path, ...] = (),
    on: MeasuredOn = "test",
) -> tuple[Job, ...]:
    """The jobs whose answers, averaged, are those of an arm."""
    stages = Stages(cell=entry.cell, protocol=protocol, data=data, cross_domain=cross_domain, on=on)
    return stages.answers(entry.arm)


def in_order(wanted: Iterable[Job]) -> tuple[Job, ...]:
    """The jobs and all that they need, each once, what is needed first."""
    found: dict[str, Job] = {}

    def add(job: Job) -> None:
        for needed in job.needs:
            add(needed)
        found.setdefault(job.name, job)

    for job in wanted:
        add(job)
    return tuple(found.values())


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Unlabelled videos."""

    name: str | None
    """Of their labels; None: that of the labels' kind"""
    flags: Flags
    needs: Jobs
    """What must be there before they are labelled"""


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The jobs of one cell. Arms that share a stage name the same job."""

    cell: Cell
    protocol: Protocol
    data: Path
    cross_domain: tuple[Path, ...]
    """Data sets that together are the source of the arm of that name, or of all arms."""
    on: MeasuredOn

    def answers(self, arm: str) -> tuple[Job, ...]:
        """An arm's jobs of answers."""
        if arm == TWO_STREAM:
            return (*self.answers(RANDOM), *self.answers(FLOW_NETWORK))
        return (self._watched(arm, self._network(arm)),)

    def _network(self, arm: str) -> Job:
        """The last training of an arm."""
        if clips := random_clips(arm, protocol=self.protocol):
            return self._fit(
                random_arm(clips),
                groups=self.cell.labelled,
                clips=clips,
                flags=self.protocol.random,
            )
        if generator := self._generators.get(arm):
            return self._teacher(generator)
        motion = _generator("flow")
        own = self._source()
        match arm:
            case "motionfit-not-fine-tuned":
                return self._student(MOTIONFIT, labels=self._labels(motion), source=own)
            case "supervised":
                start = self._student(arm, labels=self._truth(), source=own)
            case "mars":
                alpha = f"{self.protocol.mars_alpha:g}"
                flags = (*self._match(), "--alpha", alpha)
                start = self._student(arm, *flags, labels=self._labels(motion), source=own)
            case "mers":
                flags = (*self._match(), "--no-cross-entropy")
                start = self._student(arm, *flags, labels=self._labels(motion), source=own)
            case "shuffled":
                start = self._student(arm, "--shuffled", labels=self._labels(motion), source=own)
            case "cross-domain":
                other = self._other()
                labels = self._labels(motion, source=other)
                start = self._student(arm, labels=labels, source=other)
            case _:
                labels = self._labels(self._variant(arm))
                start = self._student(arm, labels=labels, source=own)
        return self._fit(
            arm,
            groups=self.cell.labelled,
            clips=self.protocol.fine_tuning_clips,
            flags=self.protocol.fine_tuning,
            start=start,
        )

    def _flow(self) -> Job:
        return self._flow_of(str(self.data), name=FLOW)

    def _flow_of(self, data: str, *, name: str, needs: Jobs = ()) -> Job:
        protocol = self.protocol
        flags = (*protocol.clip, *protocol.flow, *protocol.grid)
        return Job(
            name=name,
            program="train",
            arguments=("flow", data, "-o", FLOW, *flags),
            resumed=None,
            output=None,
            needs=needs,
        )

    def _variant(self, arm: str) -> Variant:
        """The generator, and kind of labels, of an arm that differs in these alone."""
        usual = {MOTIONFIT: _generator("flow"), "appearance": _generator("rgb")}
        changed = {one.arm: one for one in self.protocol.exploratory}
        if arm not in usual | changed:
            raise ValueError(f"there is no arm {arm}")
        return (usual | changed)[arm]

    @property
    def _generators(self) -> Mapping[str, Variant]:
        """The arms that are generators themselves."""
        return {
            FLOW_NETWORK: _generator("flow"),
            APPEARANCE_NETWORK: _generator("rgb"),
            **{one.arm: one for one in self.protocol.exploratory if one.teacher is not None},
        }

    def _teacher(self, variant: Variant) -> Job:
        protocol = self.protocol
        motion = variant.modality == "flow"
        return self._training(
            f"teacher-{variant.modality if variant.teacher is None else variant.arm}",
            "teacher",
            *self._labelled(self.cell.labelled),
            *("--modality", variant.modality),
            *(("--flow", FLOW, *protocol.flow) if motion else ()),
            *protocol.grid,
            *(protocol.teacher if variant.teacher is None else variant.teacher),
            clips=protocol.teacher_clips,
            own=("--batch-size", str(variant.batch_size)) if variant.batch_size else (),
            needs=(self._flow(),) if motion else (),
        )

    def _labels(self, variant: Variant, *, source: _Source | None = None) -> Job:
        teacher = self._teacher(variant)
        source = source or self._source()
        name = f"{self.cell.name}/labels-{source.name or variant.arm}"
        return Job(
            name=name,
            program="train",
            arguments=(
                *("pseudo-label", teacher.name, *source.flags, "-o", name),
                *(("--flow", FLOW) if variant.modality == "flow" else self.protocol.grid),
                *("--cache", CACHE, "--seed", str(self.cell.seed)),
                *(self.protocol.labels if variant.labels is None else variant.labels),
            ),
            resumed=None,
            output=f"{name}/{LABELS}",
            needs=(teacher, *source.needs),
        )

    def _truth(self) -> Job:
        labels = self._labels(_generator("flow"))
        name = f"{self.cell.name}/labels-true"
        file = f"{name}/{LABELS}"
        return Job(
            name=name,
            program="truth",
            arguments=(f"{labels.name}/{LABELS}", "--labelled", str(self.data), "-o", file),
            resumed=None,
            output=file,
            needs=(labels,),
        )

    def _match(self) -> tuple[str, ...]:
        teacher = self._teacher(_generator("flow")).name
        return ("--match", teacher, "--flow", FLOW, *self.protocol.matching)

    def _student(self, arm: str, *flags: str, labels: Job, source: _Source) -> Job:
        return self._training(
            f"student-{arm}",
            "student",
            *("--labels", f"{labels.name}/{LABELS}", *source.flags),
            *self.protocol.student,
            *flags,
            clips=self.protocol.student_clips,
            needs=(labels,),
        )

    def _fit(
        self,
        stage: str,
        *,
        groups: tuple[str, ...],
        clips: int,
        flags: Flags,
        start: Job | None = None,
    ) -> Job:
        return self._training(
            stage,
            "fit",
            *self._labelled(groups),
            *(("--start", start.name) if start else ()),
            clips=clips,
            own=flags,
            needs=(start,) if start else (),
        )

    def _training(
        self,
        stage: str,
        command: str,
        *flags: str,
        clips: int,
        needs: Jobs,
        own: Flags = (),
    ) -> Job:
        """A training; ``own`` flags take the place of those that all have in common."""
        name = f"{self.cell.name}/{stage}"
        common = ("--cache", CACHE, "--clips-seen", str(clips), "--seed", str(self.cell.seed))
        return Job(
            name=name,
            program="train",
            arguments=(
                command,
                *flags,
                *self.protocol.common,
                *own,  # of two values of a flag the last counts
                *common,
                "-o",
                name,
            ),
            resumed=(command, "--resume", "-o", name),
            output=f"{name}/{CHECKPOINT}",
            needs=needs,
        )

    def _watched(self, arm: str, network: Job) -> Job:
        generator = self._generators.get(arm)
        name = f"{self.cell.name}/{arm}.{self.on}"
        groups = self.protocol.validation if self.on == "validation" else self.cell.split.test
        return Job(
            name=name,
            program="watch",
            arguments=(
                *(network.name, "--labelled", str(self.data), "--where", _where(groups)),
                *(
                    ("--flow", FLOW)
                    if generator is not None and generator.modality == "flow"
                    else ("--clips", str(self.protocol.test_clips))
                ),
                *("-o", f"{name}.json"),
            ),
            resumed=None,
            output=f"{name}.json",
            needs=(network,),
        )

    def _labelled(self, groups: tuple[str, ...]) -> tuple[str, ...]:
        videos = ("--labelled", str(self.data), "--where", _where(groups))
        return (*videos, "--hold-out-share", "0", *self.protocol.clip, *self.protocol.view)

    def _source(self) -> _Source:
        if self.protocol.source == "other":
            return replace(self._other(), name=None)
        groups = _where(self.cell.split.training)
        flags = ("--unlabelled", str(self.data), "--where", groups)
        return _Source(name=None, flags=flags, needs=())

    def _other(self) -> _Source:
        """Videos of other things; several data sets are listed in one file."""
        lists = (_listed(self.cross_domain),) if len(self.cross_domain) > 1 else ()
        data = str(lists[0].output if lists else self.cross_domain[0])
        flow = self._flow_of(data, name=f"{FLOW}-{CROSS_DOMAIN}", needs=lists)
        return _Source(name=CROSS_DOMAIN, flags=("--unlabelled", data), needs=(flow,))


def _listed(sources: tuple[Path, ...]) -> Job:
    file = f"{CROSS_DOMAIN}.csv"
    return Job(
        name="sources",
        program="sources",
        arguments=(*map(str, sources), "-o", file),
        resumed=None,
        output=file,
        needs=(),
    )


def _where(groups: tuple[str, ...]) -> str:
    return f"group={','.join(groups)}"


def _generator(modality: Modality) -> Variant:
    """The protocol's own generator, and labels of its own kind."""
    return Variant(arm=modality, modality=modality)
