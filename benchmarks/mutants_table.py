"""What became of mutants, as a table on a terminal."""

from rich.table import Table

from motionfit.benchmarks.result import Result


def mutants_table(result: Result) -> Table:
    """How many of each codec met which outcome; the most frequent outcome first."""
    counts = {tuple(one.name.split("/")): round(one.value) for one in result.figures}
    outcomes = [outcome for codec, outcome in counts if codec == "all"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("codec", no_wrap=True)
    for outcome in outcomes:
        table.add_column(outcome, justify="right")
    for codec in sorted({codec for codec, _ in counts} - {"all"}) + ["all"]:
        table.add_row(codec, *(str(counts.get((codec, one), 0)) for one in outcomes))
    return table
