"""The report on pseudo-labels for people: a table for a terminal, a text, and the files."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from motionfit.training.label_quality import Agreement, Quality, Truth
from motionfit.training.markdown import markdown_table, sentences
from motionfit.training.tables import told_rates
from motionfit.training.whole_files import written_whole

JSON, TEXT = "quality.json", "quality.md"

Line = tuple[str, str, str]
_COLUMNS: Line = ("figure", "of", "value")
_CLASS_COLUMNS: Line = ("class", "pieces", "share")
_MOST_CLASSES = 25
"""A terminal shows so many classes."""


def table(quality: Quality) -> Table:
    """The figures for a terminal."""
    classes = _class_lines(quality)
    if (more := len(classes) - _MOST_CLASSES) > 0:
        classes = [*classes[:_MOST_CLASSES], (f"and {more} classes that are no larger", "", "")]
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column(_COLUMNS[0], overflow="fold")
    for name in _COLUMNS[1:]:
        made.add_column(name, justify="right", no_wrap=True)
    for section in (_overall_lines(quality), _truth_lines(quality), [_CLASS_COLUMNS, *classes]):
        for line in section:
            made.add_row(*map(escape, line))
        made.add_row()
    return made


def notes(quality: Quality) -> list[str]:
    """What a person must know besides the figures, a sentence each."""
    record = quality.record
    found = [
        f"kind {record['kind']}, granularity {record['granularity']}, by a teacher that sees "
        f"{'RGB' if record['flow'] is None else 'optical flow'}"
    ]
    if quality.unseen is None:
        found.append(
            "how right the labels are is not known: no labelled video that the teacher never saw "
            "is of one of its classes"
        )
    if quality.seen is not None:
        found.append(
            "seen videos are those that the teacher was trained on or held out: their figures say "
            "nothing about others"
        )
    found += [f"warning: {warning}" for warning in quality.warnings]
    found += [f"left out: {one}" for one in quality.unreadable]
    return found


def markdown(quality: Quality) -> str:
    """The report as a text."""
    sections = (
        (_COLUMNS, _overall_lines(quality)),
        (_COLUMNS, _truth_lines(quality)),
        (_CLASS_COLUMNS, _class_lines(quality)),
    )
    parts = [
        "# Pseudo-labels",
        sentences(notes(quality)),
        *(markdown_table(lines, head=columns) for columns, lines in sections if lines),
        f"Teacher {quality.record['teacher'][:12]}, videos {quality.record['data'][:12]}; "
        f"{quality.created_utc:%Y-%m-%d}:",
        f"    {quality.command}",
    ]
    return "\n\n".join(parts) + "\n"


def write_quality(quality: Quality, folder: Path) -> None:
    """Write quality.json and quality.md, each complete or not at all."""
    with written_whole(folder / JSON) as unfinished:
        unfinished.write_text(quality.document(), encoding="utf-8")
    with written_whole(folder / TEXT) as unfinished:
        unfinished.write_text(markdown(quality), encoding="utf-8")


def _overall_lines(quality: Quality) -> list[Line]:
    pieces = str(quality.pieces)
    lines: list[Line] = [
        ("videos with a label", str(quality.all_videos), str(quality.videos)),
        ("pieces of video with a label", str(quality.all_pieces), pieces),
        ("share of the pieces that is kept", str(quality.all_pieces), f"{quality.kept_share:.1%}"),
        ("balance of the classes (1: equal shares)", pieces, f"{quality.balance:.3f}"),
        ("mean confidence", pieces, f"{quality.mean_confidence:.3f}"),
    ]
    if quality.mean_entropy is not None:
        lines.append(("mean entropy, nats", pieces, f"{quality.mean_entropy:.3f}"))
    return lines


def _truth_lines(quality: Quality) -> list[Line]:
    unseen = _lines_of(quality.unseen, on="unseen videos")
    return unseen + _lines_of(quality.seen, on="seen videos")


def _lines_of(truth: Truth | None, *, on: str) -> list[Line]:
    if truth is None:
        return []
    lines: list[Line] = []
    for what, found in (("single pieces", truth.pieces), ("whole videos", truth.videos)):
        lines += [(f"{name} of {what}: {on}", of, value) for name, of, value in _figures(found)]
    for rate in told_rates(truth.per_frame_rate):
        name, of, value = _figures(rate.videos)[0]
        among = f"of {rate.frame_rate:g} fps, among their {len(rate.labels)} classes only"
        lines.append((f"{name} of whole videos {among}: {on}", of, value))
    return lines


def _figures(found: Agreement) -> list[Line]:
    count = str(found.count)
    lines: list[Line] = []
    if found.accuracy is not None:
        lines.append(("accuracy", count, f"{found.accuracy:.1%}"))
    return [
        *lines,
        ("purity", count, f"{found.purity:.1%}"),
        ("NMI", count, f"{found.nmi:.3f}"),
    ]


def _class_lines(quality: Quality) -> list[Line]:
    largest = sorted(quality.classes, key=lambda one: -one.pieces)
    return [(one.label, str(one.pieces), f"{one.share:.1%}") for one in largest]
