"""The report of the experiment as Markdown, drawn from its results file alone."""

from collections.abc import Container, Sequence

from motionfit.benchmarks.experiment.exploratory_text import exploratory_text
from motionfit.benchmarks.experiment.figures import RETIMED_CHANGE, TOP1, WITHIN_RATE
from motionfit.benchmarks.experiment.protocol import (
    ARMS,
    CROSS_DOMAIN,
    OWN_SCHEDULE,
    RANDOM,
    Protocol,
)
from motionfit.benchmarks.experiment.result import (
    Comparison,
    ExperimentResult,
    Measure,
    Part,
    Summary,
)
from motionfit.benchmarks.experiment.schedule import schedule_text
from motionfit.training.json_record import Estimate
from motionfit.training.markdown import markdown_table

Line = Sequence[str]


def markdown(result: ExperimentResult, *, pictures: Sequence[tuple[str, str]]) -> str:
    """The report, which shows ``pictures``: pairs of a title and a file name."""
    labels = result.protocol.labelled_groups
    main = result.main()
    parts = [
        f"# Few labels, many unlabelled videos: {result.dataset}, measured on {result.measured_on}",
        *_list(_setting(result)),
        f"**{primary_sentence(result)}**",
        *_own_schedule_sentence(result),
        *_gate_sentence(result),
        "## All arms",
        f"{labels} labelled groups of each class. Top-1; within rate: right among the classes of "
        "the video's own frame rate, which knowing the rate does not help; re-timed: what top-1 "
        "changes by when the video is stored at another rate. 95 % intervals over seeds x "
        f"{result.protocol.resampled}.",
        table(_arm_lines(main)),
        *_told(f"Less {RANDOM}, video by video:", _difference_lines(main)),
        *_told(
            "MotionFit less each other arm, video by video:",
            _comparison_lines(result, arms={one.arm for one in main}),
        ),
        "## Within each frame rate",
        table(_rate_lines(main)),
        *_pseudo_labels(result),
        *_curve(result),
        *schedule_text(result),
        *exploratory_text(result),
        *(f"![{title}]({file})" for title, file in pictures),
        "## Each cell",
        table(_cell_lines(main)),
        "## What it took, and what was not run",
        table(_spent_lines(result)),
        table(_arm_spent_lines(result)),
        *_missing(result),
        *(_parts(result) if result.parts else [_made(result)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def primary_sentence(result: ExperimentResult) -> str:
    """What the comparison named beforehand shows; no verdict before all its cells are there."""
    if result.primary is None:
        return "The primary comparison, MotionFit with random initialisation, is not measured yet."
    whom = "random initialisation that saw as many clips"
    return _verdict(result.primary, name="primary comparison", whom=whom, of=result)


def _own_schedule_sentence(result: ExperimentResult) -> list[str]:
    """The second half of the primary comparison, where anything of it is measured."""
    whom = "random initialisation by its own best schedule"
    return [
        f"{_verdict(one, name='second comparison', whom=whom, of=result)}."
        for one in result.comparisons
        if one.to == OWN_SCHEDULE and one.labelled_groups == result.protocol.labelled_groups
    ]


def _gate_sentence(result: ExperimentResult) -> list[str]:
    if (one := result.gate) is None:
        return []
    once = one.cells <= len(result.protocol.splits)
    return [
        "The first gate, the flow network less the RGB network with as many clips: "
        f"{_points(one.top1)} points ({_interval_points(one.top1)}) of top-1, and "
        f"{_points(one.within_rate)} ({_interval_points(one.within_rate)}) within frame rates, "
        f"{one.cells} cells."
        + " With one drawing of labels on each split, the intervals draw videos alone."
        * once
    ]


def _verdict(one: Comparison, *, name: str, whom: str, of: ExperimentResult) -> str:
    difference = f"{_points(one.top1)} points ({_interval_points(one.top1)})"
    all_cells = len(of.protocol.splits) * len(of.protocol.seeds)
    if one.cells < all_cells:
        return (
            f"No verdict yet: of the {all_cells} cells of the {name}, MotionFit with {whom}, "
            f"{one.cells} are measured, with {difference} of top-1"
        )
    verdict = (
        "is better than"
        if one.top1.low > 0
        else "is worse than"
        if one.top1.high < 0
        else "cannot be told from"
    )
    return f"MotionFit {verdict} {whom}: {difference} of top-1, {one.cells} cells"


def _made(one: ExperimentResult | Part) -> str:
    return (
        f"Made by  `{one.command}`, {one.created_utc:%Y-%m-%d}, on {one.machine.cpu}, "
        f"{one.machine.cores} cores."
    )


def _parts(result: ExperimentResult) -> list[str]:
    lines = (f"- `{one.file}`, {one.cells} cells. {_made(one)}" for one in result.parts)
    how = "Computed anew" if len(result.parts) == 1 else "Joined"
    files = "" if result.spent else " files that say what each took"
    return [f"{how} by  `{result.command}`  from{files}:", "\n".join(lines)]


def table(lines: Sequence[Line]) -> str:
    """A Markdown table; the first line is its head. Empty when there is nothing below the head."""
    if len(lines) < 2:
        return ""
    return markdown_table(lines[1:], head=lines[0])


def _told(words: str, lines: Sequence[Line]) -> list[str]:
    """A table with words above it; neither where there is nothing below its head."""
    return [words, found] if (found := table(lines)) else []


def _setting(result: ExperimentResult) -> list[str]:
    protocol = result.protocol
    return [
        *(_folds_setting if protocol.resampled == "subjects" else _splits_setting)(result),
        f"{len(protocol.seeds)} seeds, each drawing the labelled groups anew, the same for every "
        "class and for all arms",
        f"clips seen: teacher {protocol.teacher_clips}, student {protocol.student_clips}, "
        f"fine-tuning {protocol.fine_tuning_clips}; random initialisation "
        f"{protocol.student_clips + protocol.fine_tuning_clips}"
        + (_own_schedule(protocol) if OWN_SCHEDULE in protocol.arms else ""),
    ]


def _splits_setting(result: ExperimentResult) -> list[str]:
    protocol, on_test = result.protocol, result.measured_on == "test"
    splits = "; ".join(
        f"{one.name}: source and labels from {one.training[0]} to {one.training[-1]}"
        + f", test {one.test[0]} to {one.test[-1]}" * on_test
        for one in protocol.splits
    )
    others = [f"source of the arm {CROSS_DOMAIN}: {_sources(result)}"] * bool(result.cross_domain)
    return [
        splits,
        *others,
        f"choices were made on {', '.join(protocol.validation)}, which nothing is trained on"
        + "; these figures are of the same videos" * (not on_test),
    ]


def _folds_setting(result: ExperimentResult) -> list[str]:
    folds = "; ".join(f"{one.name}: {', '.join(one.test)}" for one in result.protocol.splits)
    videos = sum(len(one.videos) for one in result.video_sets)
    return [
        f"a group is a person; tested are, in turn, {folds}; labels are from the others",
        f"the source of all pseudo-labels is {_sources(result)}, without labels",
        "nothing was chosen on these videos",
        f"{videos} test videos: differences of 5 points are noise",
    ]


def _sources(result: ExperimentResult) -> str:
    return ", ".join(result.cross_domain)


def _own_schedule(protocol: Protocol) -> str:
    return f", and by its own schedule {protocol.own_schedule_clips or '(not chosen yet)'}"


def _arm_lines(summaries: Sequence[Summary]) -> list[Line]:
    lines: list[Line] = [
        ("arm", "cells", "top-1", "95 %", "within rate", "95 %", "re-timed", "95 %")
    ]
    for one in summaries:
        top1, within, change = (_value(one, name) for name in (TOP1, WITHIN_RATE, RETIMED_CHANGE))
        lines.append(
            (
                f"{one.arm}: {ARMS[one.arm]}" if one.arm in ARMS else one.arm,
                str(one.cells),
                *_share(top1),
                *_share(within),
                *_change(change),
            )
        )
    return lines


def _difference_lines(summaries: Sequence[Summary]) -> list[Line]:
    lines: list[Line] = [("arm", "top-1", "95 %", "within rate", "95 %")]
    for one in summaries:
        top1, within = (_measure(one, name) for name in (TOP1, WITHIN_RATE))
        if top1 and within and top1.difference and within.difference:
            lines.append((one.arm, *_change(top1.difference), *_change(within.difference)))
    return lines


def _comparison_lines(result: ExperimentResult, *, arms: Container[str]) -> list[Line]:
    head = ("less", "cells", "top-1", "95 %", "within rate", "95 %")
    return [
        head,
        *(
            (one.to, str(one.cells), *_change(one.top1), *_change(one.within_rate))
            for one in result.comparisons
            if one.labelled_groups == result.protocol.labelled_groups and one.to in arms
        ),
    ]


def _rate_lines(summaries: Sequence[Summary]) -> list[Line]:
    names = sorted(
        {
            measure.name
            for one in summaries
            for measure in one.measures
            if measure.name.startswith("within-") and measure.name != WITHIN_RATE
        }
    )
    rates = [name.removeprefix("within-") for name in names]
    head = ["arm"]
    for rate in rates:
        head += [f"{rate} fps", "95 %", f"less {RANDOM}", "95 %"]
    lines: list[Line] = [head]
    for one in summaries:
        cells = [one.arm]
        for name in names:
            measure = _measure(one, name)
            cells += [
                *_share(measure.value if measure else None),
                *_change(measure.difference if measure else None),
            ]
        lines.append(cells)
    return lines


def _pseudo_labels(result: ExperimentResult) -> list[str]:
    if not result.pseudo_labels:
        return []
    head = ("labels", "cells", "unseen pieces", "unseen videos", "seen pieces")
    lines = [
        (
            one.name,
            str(one.cells),
            *(f"{share:.1%}" for share in (one.unseen_pieces, one.unseen_videos, one.seen_pieces)),
        )
        for one in result.pseudo_labels
    ]
    return [
        "## How right the pseudo-labels are",
        "The share of right ones, a mean over the cells: of pieces of video and of whole videos "
        "that the teacher was not trained on, and of pieces of those that it was trained on.",
        table([head, *lines]),
    ]


def _curve(result: ExperimentResult) -> list[str]:
    lines = _curve_lines(result)
    return ["## More and fewer labels", table(lines)] if len(lines) > 1 else []


def _curve_lines(result: ExperimentResult) -> list[Line]:
    lines: list[Line] = [("arm", "labelled groups", "cells", "top-1", "95 %", "difference", "95 %")]
    arms = {one.arm for one in result.summaries if one.labelled_groups in result.protocol.curve}
    for one in sorted(result.summaries, key=lambda one: (one.arm, one.labelled_groups)):
        measure = _measure(one, TOP1)
        if one.arm in arms and measure:
            lines.append(
                (
                    one.arm,
                    str(one.labelled_groups),
                    str(one.cells),
                    *_share(measure.value),
                    *_change(measure.difference),
                )
            )
    return lines


def _cell_lines(summaries: Sequence[Summary]) -> list[Line]:
    cells = sorted({cell for one in summaries for cell in one.per_cell})
    lines: list[Line] = [("arm", *(cell.rpartition("-")[0] for cell in cells))]
    for one in summaries:
        lines.append(
            (one.arm, *(f"{one.per_cell[c]:.1%}" if c in one.per_cell else "-" for c in cells))
        )
    return lines


def _spent_lines(result: ExperimentResult) -> list[Line]:
    if not result.spent:
        return []
    total = sum(one.hours for one in result.spent)
    return [
        ("stage", "jobs", "core hours"),
        *((one.stage, str(one.jobs), f"{one.hours:.2f}") for one in result.spent),
        ("all", str(sum(one.jobs for one in result.spent)), f"{total:.2f}"),
    ]


def _arm_spent_lines(result: ExperimentResult) -> list[Line]:
    head = ("arm, with all that it needs in a cell", "cells", "core minutes of a cell")
    return [
        head,
        *((one.name, str(one.cells), f"{one.minutes:.1f}") for one in result.spent_by_arm),
    ]


def _missing(result: ExperimentResult) -> list[str]:
    impossible = _impossible(result)
    if not result.missing and not impossible:
        return ["Everything that the protocol asks for was run."]
    cells_of: dict[str, list[str]] = {}
    for name in result.missing:
        drawing, _, arm = name.partition("/")
        cell, _, labels = drawing.rpartition("-")
        cells_of.setdefault(f"{labels}/{arm}", []).append(cell)
    run = {one.name for one in result.summaries}
    lines = [
        (arm, str(len(cells)), ", ".join(cells) if arm in run else "all")
        for arm, cells in cells_of.items()
    ] + impossible
    return ["Not run:", table([("arm", "cells", "which"), *lines])]


def _impossible(result: ExperimentResult) -> list[tuple[str, str, str]]:
    """Arms of the protocol that no cell can have yet, and why."""
    protocol = result.protocol
    unknown = OWN_SCHEDULE in protocol.arms and protocol.own_schedule_clips is None
    sourceless = CROSS_DOMAIN in protocol.arms and not result.cross_domain
    return [
        *([(OWN_SCHEDULE, "-", "its number of clips is not chosen yet")] * unknown),
        *([(CROSS_DOMAIN, "-", "no source of other videos was given")] * sourceless),
    ]


def _list(sentences: Sequence[str]) -> list[str]:
    return ["\n".join(f"- {one[:1].upper()}{one[1:]}." for one in sentences)]


def _measure(summary: Summary, name: str) -> Measure | None:
    return next((one for one in summary.measures if one.name == name), None)


def _value(summary: Summary, name: str) -> Estimate | None:
    measure = _measure(summary, name)
    return measure.value if measure else None


def _share(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return "-", ""
    return f"{estimate.value:.1%}", f"{estimate.low:.1%} to {estimate.high:.1%}"


def _change(estimate: Estimate | None) -> tuple[str, str]:
    return ("-", "") if estimate is None else (_points(estimate), _interval_points(estimate))


def _points(estimate: Estimate) -> str:
    return f"{100 * estimate.value:+.1f}"


def _interval_points(estimate: Estimate) -> str:
    return f"{100 * estimate.low:+.1f} to {100 * estimate.high:+.1f}"
