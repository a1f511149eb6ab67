"""The result of a run for people, and as files: result.json and result.md."""

from pathlib import Path

from motionfit.training.markdown import markdown_table, sentences
from motionfit.training.run_result import Network, RunResult
from motionfit.training.tables import Line, share, told_rates
from motionfit.training.whole_files import written_whole

JSON, TEXT = "result.json", "result.md"

_TITLES = {
    "random": "random initialisation",
    "student": "MotionFit before fine-tuning",
    "motionfit": "MotionFit",
    "teacher": "its teacher, on {sees}",
    "two-stream": "teacher + random initialisation",
}
_SHOWN_RECALLS = (1, 5)


def table_lines(result: RunResult) -> list[list[Line]]:
    """The figures: each network, what MotionFit gains, each frame rate, and the method's parts."""
    n = str(result.videos)
    networks: list[Line] = [
        (_title(network), n, *share(network.top1)) for network in result.networks
    ]
    gain = result.gain
    networks.append(
        (
            "  MotionFit less random initialisation",
            n,
            f"{gain.value:+.1%}",
            f"{gain.low:+.1%} to {gain.high:+.1%}",
        )
    )
    return [networks, _frame_rate_lines(result), _part_lines(result)]


def notes(result: RunResult) -> list[str]:
    """What a person must know besides the figures, a sentence each."""
    return [
        f"top-1 of {len(result.classes)} classes on {result.data.name}, after so many clips seen "
        f"in training, of {result.labelled_videos} labelled and {result.unlabelled_videos} "
        f"unlabelled videos; intervals: {result.clusters} clusters (one per "
        f"{result.resampled_by}) resampled",
        "one training of each: the intervals do not tell how much another seed would change",
        *(f"warning: {warning}" for warning in result.warnings),
    ]


def markdown(result: RunResult) -> str:
    """The result as a text."""
    tables = [markdown_table(lines) for lines in table_lines(result) if lines]
    origin = result.origin
    parts = [
        f"# MotionFit on {result.data.name}",
        sentences(notes(result)),
        *tables,
        f"{origin.created_utc:%Y-%m-%d}, on {origin.device}:",
        f"    {origin.command}",
    ]
    return "\n\n".join(parts) + "\n"


def write_result(result: RunResult, folder: Path) -> None:
    """Write the text and then, as the last file of a run, the figures."""
    with written_whole(folder / TEXT) as unfinished:
        unfinished.write_text(markdown(result), encoding="utf-8")
    with written_whole(folder / JSON) as unfinished:
        unfinished.write_text(result.document(), encoding="utf-8")


def _title(network: Network) -> str:
    return f"{_name(network)}: {network.clips_seen:,} clips"


def _name(network: Network) -> str:
    return _TITLES[network.name].format(sees=network.sees)


def _frame_rate_lines(result: RunResult) -> list[Line]:
    """Each network among the classes of each frame rate."""
    return [
        (
            f"{_name(network)} at {rate.frame_rate:g} fps, among its {len(rate.labels)} classes",
            str(rate.videos),
            *share(rate.top1_among_labels),
        )
        for network in result.networks
        for rate in told_rates(network.per_frame_rate)
    ]


def _part_lines(result: RunResult) -> list[Line]:
    lines: list[Line] = []
    if result.pseudo_labels is not None:
        found = result.pseudo_labels.videos
        figure, value = (
            ("pure pseudo-labels", found.purity)
            if found.accuracy is None
            else ("right pseudo-labels", found.accuracy)
        )
        lines.append((f"{figure}, new videos", str(found.count), f"{value:.1%}", ""))
    for one in result.recalls:
        if one.k in _SHOWN_RECALLS:
            title = f"R@{one.k} before fine-tuning, in {result.gallery_videos} videos"
            lines.append((title, str(result.videos), *share(one.recall)))
            lines.append(("  by chance", "", f"{one.by_chance:.1%}", ""))
    return lines
