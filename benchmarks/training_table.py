"""A result of kind ``training`` as a table on a terminal."""

from rich.table import Table

from motionfit.benchmarks.result import Result
from motionfit.benchmarks.tables import estimate_cells, noise_notes
from motionfit.benchmarks.training_speed import STEP, WAITING


def training_table(result: Result) -> Table:
    """Each loop with its clips per second, beside torchvision's, and how long it waits for data."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("loop", no_wrap=True)
    for name in ("clips/s", "95 % interval", "x torchvision", "95 % interval", "waiting"):
        table.add_column(name, justify="right", no_wrap=True)
    ratios = {(one.numerator, one.denominator): one.ratio for one in result.ratios}
    reference = result.rates[0].name
    for rate in result.rates:
        loop = rate.name.removeprefix(f"{STEP}/")
        table.add_row(
            loop,
            *estimate_cells(rate.per_second, ".1f"),
            *estimate_cells(ratios.get((reference, rate.name)), ".2f"),
            estimate_cells(ratios[f"{WAITING}/{loop}", rate.name], ".1%")[0],
        )
    return table


def training_notes(result: Result) -> list[str]:
    """What was refused and why, what was not timed, and noise."""
    refusals = dict.fromkeys(
        reason
        for case in result.cases
        for name, reason in case.summary.refused.items()
        if name == "median"
    )
    notes = [f"not timed: {one.name}: {one.reason}" for one in result.excluded]
    return [*refusals, *notes, *noise_notes(result)]
