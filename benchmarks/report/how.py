"""The last sections of a report: what was left out, and how the rest was measured."""

from motionfit.benchmarks.report.document import Points, Section, section, table
from motionfit.benchmarks.report.headline import trained_once
from motionfit.benchmarks.report.numbers import size
from motionfit.benchmarks.report.result import ReportResult


def left_out(report: ReportResult) -> Section:
    """What was not timed, and why; without blocks where there is nothing."""
    return section(
        "What was not measured, and why",
        table(("what", "why"), [(one.name, one.reason) for one in report.excluded], texts=2),
    )


def how_measured(report: ReportResult) -> Section:
    """How parts, ratios and intervals came about, on which machine, with which libraries."""
    machine = report.machine
    networks = (
        f"the networks of {report.networks} of the experiment are timed"
        if report.networks
        else "the student is the one that ships, the other networks have random weights, which "
        "speed does not ask about"
    )
    gpus = ", ".join(gpu.name for gpu in machine.gpus)
    return section(
        "How it was measured",
        Points(
            sentences=(
                "A part is a set of systems that take turns, in an order drawn anew each round, in "
                "a process of its own; parts of different sets alternate. Intervals draw processes "
                "and then rounds with replacement (2,000 times).",
                "Ratios are taken within a round, between neighbours in time on the same video.",
                "Student and two streams read a video by the same code and get the same RGB "
                "frames; the pictures that flow needs besides are decoded on the way, each once.",
                "Engines of one precision had to give the same logits for one of the timed videos, "
                "within 1e-4 of the largest, and their accuracy was measured in OpenVINO. int8 "
                "answers otherwise: its accuracy was measured.",
                *_about_intervals(report),
                f"{report.threads} threads for engines and flow; {networks}.",
                f"Measured: {len(report.parts)} parts, of which {report.noisy_parts} on a noisy "
                f"machine; missing: {report.missing_parts}.",
                f"Machine: {machine.cpu}, {machine.cores} cores, {size(machine.memory_bytes)}, "
                f"{machine.os}{', ' + gpus if gpus else ''}.",
                f"Made by  {report.command}  on {report.created_utc:%Y-%m-%d}, revision "
                f"{(report.git_revision or 'unknown')[:12]}.",
            )
        ),
        table(("library", "version"), list(report.libraries.items()), texts=2),
    )


def _about_intervals(report: ReportResult) -> tuple[str, ...]:
    return (
        "Intervals of times do not draw videos, nor what the machine does on another day: they "
        "hold for these videos on this machine during this run.",
        "Intervals of accuracy draw groups of test videos. Each network was trained once: the luck "
        "of a training is not in them."
        if trained_once(report)
        else "Intervals of accuracy draw groups of test videos and seeds. With so few seeds they "
        "cover the luck of a training only in part.",
        f"Networks: {', '.join(report.weights) or 'none from an experiment'}. A name such as "
        "split2-seed0-labels3 is a drawing of labels: the split of the data set that is tested on, "
        "the seed, and how many groups of videos had labels.",
    )
