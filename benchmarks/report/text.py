"""The report of one machine as a document: sentences first, then tables."""

from motionfit.benchmarks.report.document import Document, Points, Section, section, table
from motionfit.benchmarks.report.headline import headline
from motionfit.benchmarks.report.names import (
    GROUPS,
    accuracy_of,
    engine_of,
    full_name,
    kind_of,
)
from motionfit.benchmarks.report.numbers import (
    DASH,
    interval,
    milliseconds,
    ms_of,
    percent,
    points,
    size,
    times,
)
from motionfit.benchmarks.report.pictures import Drawn
from motionfit.benchmarks.report.result import ReportResult, RowFigures
from motionfit.benchmarks.report.stages import STAGES

TITLE = "What dropping optical flow saves, and what it costs"


def document(report: ReportResult, *, drawn: Drawn, others: tuple[Section, ...] = ()) -> Document:
    """The report; ``drawn`` are the pictures that there are, ``others`` sections of other
    machines.
    """
    return Document(
        title=TITLE,
        summary=headline(report),
        sections=(
            _compared(report),
            _rows(report),
            section(
                "Accuracy against time, cost and memory",
                "Each dot is a system whose networks were trained; up and to the left is better "
                "(in the middle picture: up and to the right). Bars are 95 % intervals.",
                drawn.get("tradeoff"),
            ),
            _stages(report, drawn),
            _percentiles(report),
            _engines(report, drawn),
            _decoders(report),
            _scenarios(report, drawn),
            _scaling(report, drawn),
            _clips(report, drawn),
            _footprint(report),
            *others,
            _left_out(report),
            _how(report),
        ),
    )


def _compared(report: ReportResult) -> Section:
    return section(
        "What is compared",
        "A *student* looks at pictures alone. *Two streams* are the same kind of network twice, "
        "one for pictures and one for optical flow, which is how far each point moves from one "
        "picture to the next and must be computed first; their answers are averaged. All are "
        "R(2+1)D-18, at the same width unless a line says otherwise, and look at "
        f"{report.clips} clips of each video.",
        table(
            ("name", "what it is"),
            [
                ("student", _student(report)),
                ("two streams", "an RGB network and a flow network, scores averaged"),
                ("DIS, Farneback, TV-L1", "ways to compute flow, from fast to slow (OpenCV)"),
                ("flow stored before", "flow was computed in advance and is read from disk"),
                ("MERS, MARS", "students that imitate a flow network's features (Crasto 2019)"),
            ],
            texts=2,
        ),
    )


def _student(report: ReportResult) -> str:
    if report.networks is None:
        return "a network of RGB trained with motion: the one that this package ships"
    return (
        "a network of RGB trained with motion, as the one that ships was, with another drawing of "
        "labelled videos: a network cannot be tested on videos that it was trained on"
    )


def _rows(report: ReportResult) -> Section:
    lines: list[tuple[str, ...]] = []
    group = None
    for row in report.rows:
        first = GROUPS[row.group] if row.group != group else ""
        group = row.group
        lines.append((first, *_row_cells(report, row)))
    return section(
        "One change at a time",
        "Each line holds a system against the student without flow, both taking turns on the same "
        "videos, in the same engine unless the line names the student's. *Times* is how many times "
        "as long the system takes, *processor* how many times as much processor time, which is "
        "what is paid for; in brackets 95 % intervals. Accuracy is the share of test videos that "
        "are named rightly.",
        table(
            (
                "what changes",
                "system",
                "engine",
                "median",
                "student",
                "times",
                "processor",
                "accuracy",
                "points more than the student",
            ),
            lines,
            texts=3,
        ),
    )


def _row_cells(report: ReportResult, row: RowFigures) -> tuple[str, ...]:
    accuracy = accuracy_of(report, row.other)
    said = (
        (accuracy, DASH)
        if isinstance(accuracy, str)
        else (
            percent(accuracy.top1),
            points(accuracy.difference),
        )
    )
    return (
        kind_of(row.other),
        engine_of(row.other),
        ms_of(row.other_ms),
        f"{ms_of(row.without_flow_ms)}{_engine_if_other(row)}" if row.without_flow_ms else DASH,
        times(row.time) if row.time else (row.missing or "n too small").partition(":")[0],
        times(row.cpu),
        *said,
    )


def _engine_if_other(row: RowFigures) -> str:
    own = engine_of(row.without_flow)
    return "" if own == engine_of(row.other) else f" ({own})"


def _stages(report: ReportResult, drawn: Drawn) -> Section:
    shown = [one for one in report.systems if one.total_ms]
    return section(
        "Where the time goes",
        "Mean milliseconds of each stage for one video: receive (the file comes over a local "
        "connection), sample (open it, find the moments), decode, scale, flow, copy (put arrays "
        "together), infer (the networks), post (scores).",
        drawn.get("waterfall"),
        table(
            ("system", *STAGES),
            [
                (full_name(one.name), *(_stage(one.stages_ms[stage]) for stage in STAGES))
                for one in shown
            ],
        ),
    )


def _stage(ms: float) -> str:
    return f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


def _percentiles(report: ReportResult) -> Section:
    return section(
        "One video after another",
        "A percentile is only given when there are enough samples: 64 for the 90th, 130 for the "
        "95th, 662 for the 99th.",
        table(
            ("system", "processes", "samples", "median", "95 %", "p90", "p95", "p99"),
            [
                (
                    full_name(one.name),
                    str(one.processes),
                    str(one.n),
                    ms_of(one.total_ms),
                    f"{one.total_ms.low:.4g} to {one.total_ms.high:.4g}",
                    *(
                        milliseconds(value) if value is not None else "n too small"
                        for value in (one.p90_ms, one.p95_ms, one.p99_ms)
                    ),
                )
                for one in report.systems
                if one.total_ms
            ],
        ),
    )


def _engines(report: ReportResult, drawn: Drawn) -> Section:
    limits = report.limits
    said = None
    if limits and limits.gemm_gflop_s and limits.copy_gb_s:
        said = (
            f"In the same run this machine multiplied matrices at "
            f"{interval(limits.gemm_gflop_s, '.0f')} GFLOP/s and copied memory at "
            f"{interval(limits.copy_gb_s, '.1f')} GB/s. A clip takes "
            f"{limits.flop_per_clip / 1e9:.2f} GFLOP, which at the rate of that product would "
            f"take {limits.flop_per_clip / limits.gemm_gflop_s.value / 1e6:.1f} ms. Its layers "
            f"read and write {size(limits.bytes_per_clip)} if no cache keeps anything, which at "
            "the rate of that copy would take "
            f"{limits.bytes_per_clip / limits.copy_gb_s.value / 1e6:.1f} ms; an engine above 100 % "
            "of it owes that to caches."
        )
    return section(
        "Engines, and what the machine does at most",
        said,
        drawn.get("engines"),
        table(
            ("engine", "ms a clip", "GFLOP/s", "of the product", "of the copy"),
            [
                (
                    engine_of(f"student@{one.name}"),
                    interval(one.clip_ms, ".3g"),
                    DASH if one.gflop_s is None else f"{one.gflop_s:.0f}",
                    DASH if one.share is None else f"{one.share:.0%}",
                    DASH if one.memory_share is None else f"{one.memory_share:.0%}",
                )
                for one in report.engines
            ],
        ),
    )


def _decoders(report: ReportResult) -> Section:
    return section(
        "Decoders",
        "The frames of the student's clips as RGB arrays of the file's own size, one thread each. "
        "Each was first shown to give the same frames as PyAV.",
        table(
            ("video", "decoder", "median", "times as long as PyAV"),
            [
                (*one.name.rsplit("/", 1), ms_of(one.ms), times(one.times) if one.times else DASH)
                for one in report.decoders
            ],
            texts=2,
        ),
    )


def _scenarios(report: ReportResult, drawn: Drawn) -> Section:
    offline = [one for one in report.scenarios if one.scenario == "offline"]
    server = [one for one in report.scenarios if one.scenario == "server"]
    return section(
        "Offline and server",
        f"{report.threads} workers of one thread each. Offline: all videos are there. Server: "
        "requests arrive at random (Poisson) whether or not earlier ones were answered; the time "
        "counts from the arrival.",
        table(
            ("offline", "videos a second"),
            [(full_name(one.system), interval(one.per_second, ".3g")) for one in offline],
        ),
        drawn.get("server"),
        table(
            ("server", "requests a second", "n", "p50", "p95", "p99"),
            [
                (
                    full_name(one.system),
                    f"{one.at:.3g}" if one.at is not None else DASH,
                    str(one.n),
                    *(
                        milliseconds(value) if value is not None else "n too small"
                        for value in (one.p50_ms, one.p95_ms, one.p99_ms)
                    ),
                )
                for one in server
            ],
        ),
    )


def _scaling(report: ReportResult, drawn: Drawn) -> Section:
    return section(
        "How time grows",
        "An exponent of 1 means twice as much takes twice as long, of 0 that it makes no "
        "difference. None is given for the length of a video: however long it is, as many clips "
        "of the same length are looked at. The videos of length and size are one of the timed "
        "videos, its first seconds forwards and backwards again and again, scaled to the size that "
        "is named; enlarged ones hold no more detail than before and decode a little faster than "
        "a film.",
        drawn.get("scaling"),
        table(
            ("against", "system", "what", "exponent"),
            [
                (one.sweep, kind_of(one.system), one.part, interval(one.exponent, ".2f"))
                for one in report.curves
                if one.exponent
            ],
            texts=3,
        ),
    )


def _clips(report: ReportResult, drawn: Drawn) -> Section:
    return section(
        "Accuracy against the number of clips",
        drawn.get("clips"),
        table(
            ("clips of a video", "system", "accuracy", "drawings of labels"),
            [
                (str(one.clips), kind_of(one.system), percent(one.top1), str(len(one.cells)))
                for one in sorted(report.clip_accuracies, key=lambda one: (one.clips, one.system))
            ],
        ),
    )


def _footprint(report: ReportResult) -> Section:
    stored = report.flow_bytes_a_video
    return section(
        "Start and memory",
        f"Stored flow takes {size(stored)} for each video, and somebody has computed it before."
        if stored
        else None,
        "From the start of a Python process that imports only what its system needs: how long "
        "until the first answer, its files being in the machine's cache, and how much memory it "
        "takes at most, libraries included. What an installation takes on disk is measured by  "
        "motionfit-bench install.",
        table(
            ("system", "to the first answer", "memory at most"),
            [
                (full_name(one.name), ms_of(one.cold_start_ms), size(one.peak_memory_bytes))
                for one in report.systems
                if one.peak_memory_bytes
            ],
        ),
    )


def _left_out(report: ReportResult) -> Section:
    return section(
        "What was not measured, and why",
        table(("what", "why"), [(one.name, one.reason) for one in report.excluded], texts=2),
    )


def _how(report: ReportResult) -> Section:
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
                "Systems in several engines were first shown to give the same logits, except in "
                "int8, whose accuracy is measured instead.",
                "The flow network was trained on DIS flow. Its accuracy with another is that of "
                "this network, not of one that was trained on the other.",
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
        "Intervals of accuracy draw groups of videos and seeds. With so few seeds they cover the "
        "luck of a training only in part.",
        f"Networks: {', '.join(report.weights) or 'none from an experiment'}. A name such as "
        "split2-seed0-labels3 is a drawing of labels: the split of the data set that is tested on, "
        "the seed, and how many groups of videos had labels.",
    )
