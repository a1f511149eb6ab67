"""One probe, from a checkpoint and labelled videos to figures and a text."""

from pathlib import Path
from typing import Final, Literal

from rich.console import Console

from motionfit.training import scores
from motionfit.training.embedded_parts import PartsOptions, embed_parts
from motionfit.training.json_record import Record
from motionfit.training.markdown import markdown_table, sentences
from motionfit.training.origins import Network, Origin
from motionfit.training.probe import fit_probe
from motionfit.training.report import Data
from motionfit.training.resampling import rounded
from motionfit.training.row_clusters import group_of
from motionfit.training.scores import Accuracy, Scored, Unreadable
from motionfit.training.tables import Line, class_lines, frame_rate_lines, plain, share
from motionfit.training.whole_folders import folder_written_whole

JSON, TEXT = "probe.json", "probe.md"
FORMAT: Final = 1


class ProbeReport(Record):
    """Everything about one probe. Shares are 0 to 1, intervals 95 %."""

    format: Literal[1] = FORMAT
    origin: Origin
    network: Network
    clips: int
    """Clips of a video whose embeddings are averaged."""
    seed: int
    """Of the folds and of resampling."""
    training: Data
    test: Data
    labels: tuple[str, ...]
    """The classes of the training videos."""
    c: float
    """Inverse strength of the penalty, chosen on folds of the training videos."""
    folds: int
    held_out_top1: float
    """Mean over those folds; the strength was chosen for it."""
    accuracy: Accuracy
    """On the test videos."""
    warnings: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    """Training videos that could not be read."""


def probe_report(options: PartsOptions, *, console: Console) -> ProbeReport:
    """Fit a probe and test it. Raises CheckpointError or DatasetError."""
    origin = Origin.now(options.command)  # before the minutes in which the source may change
    parts = embed_parts(options, console=console)
    probe = fit_probe(parts.reference, seed=options.seed)
    test = parts.test
    scored = [
        Scored(
            video=row.name,
            label=row.label,
            group=group_of(row),
            frame_rate=rate,
            scores=line,
            answered=True,
        )
        for row, rate, line in zip(test.rows, test.frame_rates, probe.scores(test), strict=True)
    ]
    return ProbeReport(
        origin=origin,
        network=parts.network,
        clips=parts.clips,
        seed=options.seed,
        training=parts.reference_data,
        test=parts.test_data,
        labels=probe.labels,
        c=rounded(probe.c),
        folds=probe.folds,
        held_out_top1=rounded(probe.held_out_top1),
        accuracy=scores.judge(
            scored,
            dataset=parts.test_data.name,
            labels=probe.labels,
            unreadable=test.unreadable,
            unknown=None,
            seed=options.seed,
        ),
        warnings=parts.warnings,
        unreadable=parts.reference.unreadable,
    )


def sections(report: ProbeReport) -> list[list[Line]]:
    """The figures: overall, each frame rate, each class."""
    accuracy = report.accuracy
    n = str(accuracy.videos)
    overall: list[Line] = [("top-1", n, *share(accuracy.top1))]
    if accuracy.top5 is not None:
        overall.append(("top-5", n, *share(accuracy.top5)))
    overall.append(("negative log-likelihood", n, *plain(accuracy.nll)))
    return [overall, frame_rate_lines(accuracy), class_lines(accuracy)]


def notes(report: ProbeReport) -> list[str]:
    """What a person must know besides the figures, a sentence each."""
    accuracy = report.accuracy
    return [
        f"{accuracy.videos} test videos, mean embedding of {report.clips} "
        f"clip{'s' * (report.clips > 1)}; intervals: {accuracy.clusters} clusters (one per "
        f"{accuracy.resampled_by}) resampled",
        f"logistic regression on {report.training.videos} training videos, C {report.c:g} chosen "
        f"on {report.folds} folds of them, where {report.held_out_top1:.1%} were right",
        *(f"warning: {warning}" for warning in report.warnings),
        *(
            f"left out: {one.video}: {one.reason}"
            for one in (*report.unreadable, *accuracy.unreadable)
        ),
    ]


def markdown(report: ProbeReport) -> str:
    """The report as a text."""
    tables = [markdown_table(one) for one in sections(report)]
    parts = [
        f"# Linear probe of {report.network.name} on {report.test.name}",
        sentences(notes(report)),
        *tables,
        f"{report.origin.created_utc:%Y-%m-%d}, on {report.origin.device}, network "
        f"{report.network.sha256[:12]}:",
        f"    {report.origin.command}",
    ]
    return "\n\n".join(parts) + "\n"


def write_probe(report: ProbeReport, folder: Path) -> None:
    """Make ``folder``, new or empty, hold the report: complete or not at all."""
    with folder_written_whole(folder) as unfinished:
        (unfinished / JSON).write_text(report.document(), encoding="utf-8")
        (unfinished / TEXT).write_text(markdown(report), encoding="utf-8")
