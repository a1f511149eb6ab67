"""What a run of MotionFit came to: the student beside its rivals on the same videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from motionfit.training.checkpoint import Checkpoint, load_checkpoint
from motionfit.training.embeddings import embed
from motionfit.training.json_record import Estimate, Record
from motionfit.training.label_quality import Quality, Truth
from motionfit.training.label_quality_text import JSON as QUALITY
from motionfit.training.manifest import Row, labels_of
from motionfit.training.origins import Origin, available_device
from motionfit.training.report import Data, Report
from motionfit.training.retrieval import Recall, recalls, retrieve
from motionfit.training.row_clusters import ClusteredBy, clustered_by, clusters_of
from motionfit.training.run_stages import (
    FINE_TUNED,
    PSEUDO_LABEL,
    RANDOM,
    STUDENT,
    TEACHER,
    Stages,
)
from motionfit.training.run_videos import shared
from motionfit.training.scores import RateAccuracy, weighted_mean
from motionfit.training.two_stream import Scores, both_streams
from motionfit.training.two_stream_report import accuracy_of_stream

FORMAT: Final = 1

Name = Literal["random", "student", "motionfit", "teacher", "two-stream"]
Sight = Literal["pictures", "optical flow", "pictures and optical flow"]


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What a network, or two together, made of the test videos that it could read."""

    right: Mapping[str, bool]
    """Of each video, by name, whether it was recognised"""
    per_frame_rate: tuple[RateAccuracy, ...]


class Network(Record):
    """A network, or two together, and how many of the test videos it recognises."""

    name: Name
    sees: Sight
    clips_seen: int
    """In all its trainings on labelled or pseudo-labelled videos."""
    top1: Estimate
    per_frame_rate: tuple[RateAccuracy, ...] = ()
    """Of the test videos that it could read, of flow those that a network of pictures could too."""


class RunResult(Record):
    """The result of all stages. Shares are 0 to 1, intervals 95 %."""

    format: Literal[1] = FORMAT
    origin: Origin
    labelled_videos: int
    """Those held out included."""
    unlabelled_videos: int
    classes: tuple[str, ...]
    data: Data
    """The videos that were measured on."""
    videos: int
    """Those of them that could be read."""
    resampled_by: ClusteredBy
    """What the intervals draw with replacement."""
    clusters: int
    """How many of those there are."""
    networks: tuple[Network, ...]
    gain: Estimate
    """Share of right answers of MotionFit less that of random initialisation; interval over the
    same clusters, both together."""
    pseudo_labels: Truth | None
    """How right they are on videos that the teacher never saw; null where no class is known."""
    gallery_videos: int
    """Labelled videos that could be read and are not measured on."""
    recalls: tuple[Recall, ...]
    """Of the student before it is fine-tuned: those are the gallery, test videos the queries."""
    warnings: tuple[str, ...]


def result_of(stages: Stages) -> RunResult:
    """Measure what is not in the stages' reports, and put all together."""
    origin = Origin.now(stages.command)
    report = _report(stages, FINE_TUNED)
    asked = {outcome.video for outcome in report.accuracy.outcomes}
    videos = stages.videos
    rows = [row for row in videos.test or videos.labelled if row.name in asked]
    measured: dict[Name, _Measured] = {
        "random": _measured_in(_report(stages, RANDOM)),
        **(
            {"student": _measured_in(_report(stages, STUDENT))} if stages.student_recognises else {}
        ),
        "motionfit": _measured_in(report),
        **_of_teacher(stages, rows),
    }
    rows = [row for row in rows if all(row.name in one.right for one in measured.values())]
    clusters, seed = clusters_of(rows), stages.config.train.seed
    lines = {
        name: np.array([one.right[row.name] for row in rows], np.float64)
        for name, one in measured.items()
    }
    gallery, found = _recalls(stages, rows, seed=seed)
    return RunResult(
        origin=origin,
        labelled_videos=len(videos.labelled),
        unlabelled_videos=len(videos.unlabelled),
        classes=report.model.labels,
        data=report.data,
        videos=len(rows),
        resampled_by=clustered_by(rows),
        clusters=int(clusters.max()) + 1,
        networks=tuple(
            _network(
                name,
                stages,
                top1=weighted_mean(line, clusters=clusters, seed=seed),
                per_frame_rate=measured[name].per_frame_rate,
            )
            for name, line in lines.items()
        ),
        gain=weighted_mean(lines["motionfit"] - lines["random"], clusters=clusters, seed=seed),
        pseudo_labels=_quality(stages).unseen,
        gallery_videos=gallery,
        recalls=found,
        warnings=_warnings(stages, rows, report),
    )


def _report(stages: Stages, network: str) -> Report:
    return Report.model_validate_json(stages.report(network).read_bytes())


def _quality(stages: Stages) -> Quality:
    return Quality.model_validate_json((stages.output / PSEUDO_LABEL / QUALITY).read_bytes())


def _measured_in(report: Report) -> _Measured:
    accuracy = report.accuracy
    return _Measured(
        right={outcome.video: outcome.rank == 0 for outcome in accuracy.outcomes},
        per_frame_rate=accuracy.per_frame_rate,
    )


def _of_teacher(stages: Stages, rows: Sequence[Row]) -> Mapping[Name, _Measured]:
    """What the teacher itself recognises and, of flow, what it and random initialisation do
    together."""
    if stages.config.teacher.modality == "rgb":
        return {"teacher": _measured_in(_report(stages, TEACHER))}
    folder = stages.config.flow.flow
    assert folder is not None
    random, teacher = (_loaded(stages.output / name) for name in (RANDOM, TEACHER))
    both = both_streams(random, teacher, rows=rows, folder=folder, console=stages.console)
    labels, seed = teacher.labels, stages.config.train.seed
    true = np.array([labels.index(row.label) for row in both.rows])

    def measured(stream: Literal["flow", "fused"], scores: Scores) -> _Measured:
        answers = (scores.argmax(axis=1) == true).tolist()
        return _Measured(
            right={row.name: answer for row, answer in zip(both.rows, answers, strict=True)},
            per_frame_rate=accuracy_of_stream(
                stream, scores, both, labels=labels, seed=seed
            ).per_frame_rate,
        )

    return {"teacher": measured("flow", both.flow), "two-stream": measured("fused", both.fused)}


def _network(
    name: Name, stages: Stages, *, top1: Estimate, per_frame_rate: tuple[RateAccuracy, ...]
) -> Network:
    config = stages.config.stages
    whole = config.student_clips + config.fine_tuning_clips
    of_teacher: Sight = "optical flow" if stages.config.teacher.modality == "flow" else "pictures"
    seen: dict[Name, tuple[Sight, int]] = {
        "random": ("pictures", whole),
        "student": ("pictures", config.student_clips),
        "motionfit": ("pictures", whole),
        "teacher": (of_teacher, config.teacher_clips),
        "two-stream": ("pictures and optical flow", whole + config.teacher_clips),
    }
    sees, clips_seen = seen[name]
    return Network(
        name=name, sees=sees, clips_seen=clips_seen, top1=top1, per_frame_rate=per_frame_rate
    )


def _recalls(stages: Stages, rows: Sequence[Row], *, seed: int) -> tuple[int, tuple[Recall, ...]]:
    """Videos of the gallery, and recalls of the student as the pseudo-labels made it; none where
    the gallery lacks a class.
    """
    student = _loaded(stages.output / STUDENT)
    asked = {row.path for row in rows}
    known = [row for row in stages.videos.labelled if row.path not in asked]
    gallery, queries = (
        embed(student, part, clips=None, console=stages.console) for part in (known, rows)
    )
    if set(labels_of(queries.rows)) - set(labels_of(gallery.rows)):
        return len(gallery.rows), ()
    found = retrieve(queries, gallery=gallery)
    return len(gallery.rows), recalls(found, queries=queries.rows, gallery=gallery.rows, seed=seed)


def _loaded(run: Path) -> Checkpoint:
    checkpoint = load_checkpoint(run)
    return replace(checkpoint, model=checkpoint.model.to(available_device()))


def _warnings(stages: Stages, rows: Sequence[Row], report: Report) -> tuple[str, ...]:
    among = len(shared(rows, stages.videos.unlabelled))
    return (
        *([f"{among} of the {len(rows)} test videos are among the unlabelled ones"] * bool(among)),
        *report.warnings,
    )
