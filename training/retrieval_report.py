"""One retrieval, from a checkpoint and labelled videos to figures, a text and a picture."""

from pathlib import Path
from typing import Final, Literal

from rich.console import Console

from motionfit.training.embedded_parts import PartsOptions, embed_parts
from motionfit.training.json_record import Record
from motionfit.training.manifest import read_dataset
from motionfit.training.markdown import markdown_table, sentences
from motionfit.training.origins import Network, Origin
from motionfit.training.report import Data
from motionfit.training.retrieval import KS, Query, Recall, recalls, retrieve
from motionfit.training.retrieval_by_rate import RateRecall, by_frame_rate
from motionfit.training.retrieval_picture import draw_retrievals, examples_of, middle_frames
from motionfit.training.row_clusters import ClusteredBy, clustered_by, clusters_of
from motionfit.training.scores import Unreadable
from motionfit.training.tables import COLUMNS, Line, share
from motionfit.training.whole_folders import folder_written_whole

JSON, TEXT, PICTURE = "retrieval.json", "retrieval.md", "retrieval.png"
FORMAT: Final = 1


class RetrievalReport(Record):
    """Everything about one retrieval. Shares are 0 to 1, intervals 95 %."""

    format: Literal[1] = FORMAT
    origin: Origin
    network: Network
    clips: int
    """Clips of a video whose embeddings are averaged."""
    seed: int
    """Of resampling and of the examples shown."""
    gallery: Data
    queries: Data
    resampled_by: ClusteredBy
    """What the intervals draw with replacement."""
    clusters: int
    """How many of those there are."""
    recalls: tuple[Recall, ...]
    per_frame_rate: tuple[RateRecall, ...]
    warnings: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    found: tuple[Query, ...]


def retrieval_report(options: PartsOptions, *, console: Console) -> RetrievalReport:
    """Retrieve. Raises CheckpointError or DatasetError."""
    origin = Origin.now(options.command)  # before the minutes in which the source may change
    parts = embed_parts(options, console=console)
    gallery, queries = parts.reference, parts.test
    found = retrieve(queries, gallery=gallery)
    return RetrievalReport(
        origin=origin,
        network=parts.network,
        clips=parts.clips,
        seed=options.seed,
        gallery=parts.reference_data,
        queries=parts.test_data,
        resampled_by=clustered_by(queries.rows),
        clusters=int(clusters_of(queries.rows).max()) + 1,
        recalls=recalls(found, queries=queries.rows, gallery=gallery.rows, seed=options.seed),
        per_frame_rate=by_frame_rate(queries, gallery=gallery, seed=options.seed),
        warnings=parts.warnings,
        unreadable=(*gallery.unreadable, *queries.unreadable),
        found=found,
    )


def lines(report: RetrievalReport) -> list[Line]:
    """The figures: what, queries, share, interval."""
    n = str(len(report.found))
    found: list[Line] = []
    for one in report.recalls:
        found.append((f"R@{one.k}", n, *share(one.recall)))
        found.append(("  by chance", "", f"{one.by_chance:.1%}", ""))
    for rate in report.per_frame_rate:
        count = str(rate.queries)
        found.append((f"R@1 at {rate.frame_rate:g} fps", count, *share(rate.whole)))
        among = f"  among the {rate.gallery} of this rate only"
        found.append((among, count, *share(rate.within)))
        found.append(("  by chance", "", f"{rate.within_by_chance:.1%}", ""))
    return found


def notes(report: RetrievalReport) -> list[str]:
    """What a person must know besides the figures, a sentence each."""
    size = report.gallery.videos
    omitted = [str(k) for k in KS if k not in {one.k for one in report.recalls}]
    return [
        f"{len(report.found)} queries, {size} videos in the gallery, mean embedding of "
        f"{report.clips} clip{'s' * (report.clips > 1)}; intervals: {report.clusters} clusters "
        f"(one per {report.resampled_by}) resampled",
        *([f"the gallery is too small for R@{', R@'.join(omitted)}"] if omitted else []),
        *(f"warning: {warning}" for warning in report.warnings),
        *(f"left out: {one.video}: {one.reason}" for one in report.unreadable),
    ]


def markdown(report: RetrievalReport) -> str:
    """The report as a text that shows the picture beside it."""
    parts = [
        f"# {_title(report)}",
        sentences(notes(report)),
        markdown_table(lines(report), head=("recall", "queries", *COLUMNS[2:])),
        f"![Queries, one of each class drawn blindly, and what they found]({PICTURE})",
        f"{report.origin.created_utc:%Y-%m-%d}, on {report.origin.device}, network "
        f"{report.network.sha256[:12]}:",
        f"    {report.origin.command}",
    ]
    return "\n\n".join(parts) + "\n"


def write_retrieval(
    report: RetrievalReport, folder: Path, *, options: PartsOptions, console: Console
) -> None:
    """Make ``folder``, new or empty, hold the report and its picture: complete or not at all."""
    examples = examples_of(report.found, seed=report.seed)
    rows = read_dataset(options.labelled, lists=options.lists).rows
    pictures = middle_frames(examples, rows=rows, console=console)
    with folder_written_whole(folder) as unfinished:
        (unfinished / JSON).write_text(report.document(), encoding="utf-8")
        (unfinished / TEXT).write_text(markdown(report), encoding="utf-8")
        draw_retrievals(examples, unfinished / PICTURE, pictures=pictures, title=_title(report))


def _title(report: RetrievalReport) -> str:
    best = report.recalls[0]
    return (
        f"{report.network.name} on {report.queries.name}: R@{best.k} {best.recall.value:.1%} "
        f"(by chance {best.by_chance:.1%})"
    )
