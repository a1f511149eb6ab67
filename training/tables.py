"""Figures of accuracy as the lines of a table, for a terminal or a text."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from rich.markup import escape
from rich.table import Table

from motionfit.training.json_record import Estimate
from motionfit.training.scores import Accuracy

_MOST_RATES = 8


class OfOneRate(Protocol):
    """Figures on videos of one native frame rate."""

    @property
    def labels(self) -> Sequence[str]:
        """The classes of these videos."""


R = TypeVar("R", bound=OfOneRate)
Line = tuple[str, str, str, str]
COLUMNS: Line = ("figure", "videos", "value", "95 % interval")


def overall_lines(accuracy: Accuracy) -> list[Line]:
    """The figures of a whole data set."""
    n = str(accuracy.videos)
    lines: list[Line] = [
        ("top-1", n, *share(accuracy.top1)),
        ("top-5", n, *share(accuracy.top5)),
        ('answered (not "none of these")', n, *share(accuracy.answered)),
        ("top-1 of the answered", "", *share(accuracy.accuracy_of_answered)),
        ("negative log-likelihood", n, *plain(accuracy.nll)),
        ("expected calibration error", n, f"{accuracy.ece:.3f}", ""),
    ]
    if unknown := accuracy.unknown:
        rejected = share(unknown.none_of_these)
        lines.append(('unknown, "none of these"', str(unknown.videos), *rejected))
    return lines


def told_rates(rates: Sequence[R]) -> list[R]:
    """The rates within which accuracy tells something: those with several classes, where there are
    several rates; of many the first few.
    """
    return [one for one in rates if len(one.labels) > 1][:_MOST_RATES] if len(rates) > 1 else []


def frame_rate_lines(accuracy: Accuracy) -> list[Line]:
    """Each frame rate: its accuracy among all classes, then among its own."""
    lines: list[Line] = []
    for rate in accuracy.per_frame_rate:
        n = str(rate.videos)
        lines.append((f"top-1 at {rate.frame_rate:g} fps", n, *share(rate.top1)))
        among = f"  among its {len(rate.labels)} classes only"
        lines.append((among, n, *share(rate.top1_among_labels)))
    return lines


def class_lines(accuracy: Accuracy) -> list[Line]:
    """Each class."""
    return [(one.label, str(one.videos), f"{one.top1:.1%}", "") for one in accuracy.per_class]


def table_of(sections: Sequence[Sequence[Line]]) -> Table:
    """The lines of each section, an empty line between two sections."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(COLUMNS[0], overflow="fold")
    for name in COLUMNS[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for number, lines in enumerate(section for section in sections if section):
        if number:
            table.add_row()
        for line in lines:
            table.add_row(*map(escape, line))
    return table


def share(estimate: Estimate | None) -> tuple[str, str]:
    """A share and its interval in percent; a dash where there is none."""
    if estimate is None:
        return "-", ""
    return f"{estimate.value:.1%}", f"{estimate.low:.1%} - {estimate.high:.1%}"


def plain(estimate: Estimate) -> tuple[str, str]:
    """A figure and its interval with three decimals."""
    return f"{estimate.value:.3f}", f"{estimate.low:.3f} - {estimate.high:.3f}"
