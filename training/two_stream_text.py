"""A two-stream comparison for people, and as a folder: two_stream.json and two_stream.md."""

from pathlib import Path

from motionfit.training.markdown import markdown_table, sentences
from motionfit.training.tables import Line, plain, share
from motionfit.training.two_stream_report import TwoStreamReport
from motionfit.training.whole_folders import folder_written_whole

JSON, TEXT = "two_stream.json", "two_stream.md"
TITLES = {"rgb": "RGB", "flow": "flow", "fused": "RGB + flow"}


def table_lines(report: TwoStreamReport) -> list[list[Line]]:
    """The figures: each stream, their differences, each frame rate."""
    n = str(len(report.videos))
    streams: list[Line] = []
    rates: list[Line] = []
    for one in report.streams:
        title = TITLES[one.stream]
        streams.append((f"{title}: top-1", n, *share(one.top1)))
        streams.append((f"{title}: negative log-likelihood", n, *plain(one.nll)))
        for rate in one.per_frame_rate:
            count = str(rate.videos)
            rates.append((f"{title}: top-1 at {rate.frame_rate:g} fps", count, *share(rate.top1)))
            among = f"  among its {len(rate.labels)} classes only"
            rates.append((among, count, *share(rate.top1_among_labels)))
    changes: list[Line] = [
        (
            f"{TITLES[one.stream]} less {TITLES[one.less]}",
            n,
            f"{one.top1.value:+.1%}",
            f"{one.top1.low:+.1%} to {one.top1.high:+.1%}",
        )
        for one in report.differences
    ]
    return [streams, changes, rates]


def notes(report: TwoStreamReport) -> list[str]:
    """What a person must know besides the figures, a sentence each."""
    return [
        f"{len(report.videos)} videos that both networks could read; scores are means of softmax "
        "at each checkpoint's own temperature, fused with equal weights, which nothing tunes; "
        f"intervals: {report.clusters} clusters (one per {report.resampled_by}) "
        "resampled",
        *(f"warning: {warning}" for warning in report.warnings),
        *(f"left out: {one.video}: {one.reason}" for one in report.unreadable),
    ]


def markdown(report: TwoStreamReport) -> str:
    """The report as a text."""
    tables = [markdown_table(lines) for lines in table_lines(report) if lines]
    parts = [
        f"# {report.rgb.name} and {report.flow.name} on {report.data.name}",
        sentences(notes(report)),
        *tables,
        f"{report.origin.created_utc:%Y-%m-%d}, on {report.origin.device}, networks "
        f"{report.rgb.sha256[:12]} and {report.flow.sha256[:12]}:",
        f"    {report.origin.command}",
    ]
    return "\n\n".join(parts) + "\n"


def write_two_stream(report: TwoStreamReport, folder: Path) -> None:
    """Make ``folder``, new or empty, hold the report: complete or not at all."""
    with folder_written_whole(folder) as unfinished:
        (unfinished / JSON).write_text(report.document(), encoding="utf-8")
        (unfinished / TEXT).write_text(markdown(report), encoding="utf-8")
