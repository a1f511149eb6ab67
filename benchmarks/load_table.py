"""A load test as a table on a terminal."""

from rich.table import Table

from motionfit.benchmarks.load_step import Step
from motionfit.benchmarks.result import Result, Summary
from motionfit.benchmarks.tables import noise_notes
from motionfit.benchmarks.target_table import fault_notes

BUSY_CORES = 0.7


def step_line(step: Step) -> str:
    """A step that is done, in a line."""
    count = step.count
    fates = ", ".join(f"{number} {fate}" for fate, number in count.items())
    verdict = "keeps up" if step.keeps_up else "does not keep up"
    return f"{step.rate:.4g} requests/s: {fates}; {verdict if step.whole else 'stopped'}"


def load_table(result: Result) -> Table:
    """Each rate with what became of its requests, and the latency of the answers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ("requests/s", "answered", "a second", "wrong", "refused", "failed")
    for name in (*columns, "median ms", "p90", "p95", "p99", "refusals' p95"):
        table.add_column(name, justify="right", no_wrap=True)
    figures = {figure.name: figure.value for figure in result.figures}
    cases = {case.name: case.summary for case in result.cases}
    for step in dict.fromkeys(name.partition("/")[0] for name in figures if "rate-" in name):
        counts = [figures[f"{step}/{fate}"] for fate in ("answered", "wrong", "refused", "failed")]
        answered, *others = (f"{count:.0f}" for count in counts)
        table.add_row(
            step.removeprefix("rate-"),
            answered,
            f"{figures[f'{step}/answered-per-second']:.1f}",
            *others,
            *_cells(cases.get(f"{step}/answered")),
            _cells(cases.get(f"{step}/refused"))[2],
        )
    return table


def load_notes(result: Result) -> list[str]:
    """The knee, what went wrong, whether the client kept its schedule, and noise."""
    figures = {figure.name: figure.value for figure in result.figures}
    kept, lost = (figures.get(f"knee/{name}") for name in ("kept", "not-kept"))
    notes = [
        "latency counts from when a request was scheduled, refusals from the last byte sent; "
        "'-' where there are too few samples"
    ]
    if kept:
        notes.append(f"it keeps up with {kept:.4g} requests/s")
    if lost:
        notes.append(f"it does not keep up with {lost:.4g} requests/s")
    late_ms = max((v for n, v in figures.items() if n.endswith("client-late-by-up-to")), default=0)
    notes.append(f"the client was late by up to {late_ms:.0f} ms")
    if max((v for n, v in figures.items() if n.endswith("client-cores")), default=0) > BUSY_CORES:
        notes.append(
            "the client itself was busy: ask from several machines to load the server more"
        )
    return notes + fault_notes(result) + noise_notes(result)


def _cells(summary: Summary | None) -> list[str]:
    if summary is None:
        return ["-"] * 4
    median = summary.median.value if summary.median else None
    values = (median, summary.p90, summary.p95, summary.p99)
    return ["-" if value is None else f"{value:.1f}" for value in values]
