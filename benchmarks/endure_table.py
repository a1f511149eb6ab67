"""What a server endured, as a table on a terminal."""

from rich.table import Table

from motionfit.benchmarks.endure_requests import WEIGHTS
from motionfit.benchmarks.result import Result

MEBIBYTE = 1024**2


def endure_table(result: Result) -> Table:
    """What became of each kind of request, and the memory on the way."""
    figures = {tuple(one.name.split("/")): one.value for one in result.figures}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("requests", no_wrap=True)
    table.add_column("outcomes", overflow="fold")
    for kind in WEIGHTS:
        outcomes = {what: number for (first, what), number in figures.items() if first == kind}
        shown = ", ".join(f"{what}: {number:.0f}" for what, number in outcomes.items())
        table.add_row(kind, shown)
    for whose in ("memory", "own memory"):
        sizes = [size / MEBIBYTE for (first, _), size in figures.items() if first == whose]
        table.add_row(f"{whose}, MiB", " ".join(f"{size:.0f}" for size in sizes))
    return table
