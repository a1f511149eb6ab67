"""What was promised and what became of it, on a terminal."""

from rich.table import Table

from motionfit.benchmarks.result import Result, Target

MOST_SHOWN = 10
_VERDICTS = {True: "met", False: "MISSED", None: "too few samples"}


def target_table(result: Result) -> Table:
    """Each target with its value, its bound and the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("target", overflow="fold")
    for name in ("value", "promised", "verdict"):
        table.add_column(name, justify="right", no_wrap=True)
    for target in result.targets:
        table.add_row(
            target.name, _number(target.value, target.unit), _bounds(target), _VERDICTS[target.met]
        )
    return table


def fault_notes(result: Result) -> list[str]:
    """What went wrong, the first of it."""
    notes = [f"{fault.name}: {fault.what}" for fault in result.faults[:MOST_SHOWN]]
    if len(result.faults) > MOST_SHOWN:
        notes.append(f"and {len(result.faults) - MOST_SHOWN} more, which the result lists")
    return notes


def missed(result: Result) -> bool:
    """Whether a target was missed."""
    return any(target.met is False for target in result.targets)


def _bounds(target: Target) -> str:
    bounds = [("at least", target.at_least), ("at most", target.at_most)]
    return ", ".join(
        f"{word} {_number(value, target.unit)}" for word, value in bounds if value is not None
    )


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.4g} {unit}".rstrip()
