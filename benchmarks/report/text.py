"""The report of one machine as a document: sentences first, then tables."""

from motionfit.benchmarks.report.document import Document, Section, section, table
from motionfit.benchmarks.report.headline import SMALL_WORDS, fewer_cells, headline
from motionfit.benchmarks.report.how import how_measured, left_out
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
from motionfit.benchmarks.report.plots import SWEEPS
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
                "Each dot is a system whose networks were trained, in the student's engine; up and "
                "to the left is better (in the middle picture: up and to the right). Bars are the "
                "95 % interval of the difference to the student, whose accuracy is the dotted "
                "line and not exact either. Axes of time are logarithmic.",
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
            left_out(report),
            how_measured(report),
        ),
    )


def _compared(report: ReportResult) -> Section:
    return section(
        "What is compared",
        "A *student* looks at pictures alone. *Two streams* are the same kind of network twice, "
        "one for pictures and one for optical flow, which is how far each point moves from one "
        "picture to the next and must be computed first; their answers are averaged. All networks "
        f"are {SMALL_WORDS}, ten of them a second, unless a line says otherwise; those of other "
        f"sizes have random weights. They look at {report.clips} clips of each video. Flow is "
        "computed on the CPU, on pictures of 128 lines a tenth of a second apart; flow on a GPU, "
        "and flow networks such as RAFT, were not measured.",
        table(
            ("name", "what it is"),
            [
                ("student", _student(report)),
                (
                    "two streams",
                    "a network of RGB that learned from the labelled videos alone, as many clips "
                    "as the student saw, and a network of flow; scores averaged",
                ),
                ("student and flow network", "the student itself with the network of flow added"),
                ("DIS, Farneback, TV-L1", "ways to compute flow, from fast to slow (OpenCV)"),
                ("flow stored before", "flow was computed in advance and is read from disk"),
                ("MERS, MARS", "students that imitate a flow network's features (Crasto 2019)"),
            ],
            texts=2,
        ),
    )


def _student(report: ReportResult) -> str:
    if report.networks is None:
        return "the student that this package ships: a network of RGB, trained on labels alone"
    return (
        "MotionFit's student, a network of RGB: not the one that ships, which was trained on all "
        "labels, for a network cannot be tested on videos that it was trained on"
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
        "videos, in the same engine unless the line names the student's. "
        "*Times as long* is the median of the ratios within a round, so it is not "
        "quite the quotient of the medians beside it. *CPU time* is that of all threads of the "
        "process, waiting loops of the engine and the sending of the file included; what a busy "
        "machine gets done stands below, under offline. Brackets hold 95 % intervals. The network "
        "of flow was trained on DIS flow and never on Farneback or TV-L1: of these, times can be "
        "compared, and accuracy might be higher for a network trained on them.",
        table(
            (
                "what changes",
                "system",
                "engine",
                "median",
                "the student's",
                "times as long",
                "CPU time, times",
                "accuracy",
                "more than the student, points",
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
        else (percent(accuracy.top1) + fewer_cells(report, accuracy), points(accuracy.difference))
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
        "connection), decode, sample (open the file, find the moments), scale, flow (computed, or "
        "read where it was stored), copy (put arrays together), infer (the networks), post "
        "(scores).",
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
        "95th, 662 for the 99th. They are over the same videos again and again, so they show slow "
        "videos as well as slow moments.",
        table(
            (
                *("system", "processes", "samples", "median", "its 95 % interval, ms"),
                *("p90", "p95", "p99"),
            ),
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
        "Engines, beside a matrix product and a copy of memory",
        said,
        drawn.get("engines"),
        table(
            (
                *("engine", "ms a clip", "GFLOP/s"),
                *("share of the product's rate", "share of the copy's rate"),
            ),
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
    server = sorted(
        (one for one in report.scenarios if one.scenario == "server"),
        key=lambda one: (one.system, one.at or 0),
    )
    return section(
        "Offline and server",
        f"{report.threads} workers of one thread each. Offline: all videos are there. Server: "
        "requests arrive at random (Poisson) whether or not earlier ones were answered; the time "
        "counts from the arrival. Each system is asked at 30, 60 and 85 % of what it gets done "
        "itself, so compare at equal requests a second. Runs are short, so waits at 85 % may be "
        "longer in the long run.",
        table(
            ("offline", "videos a second"),
            [(full_name(one.system), interval(one.per_second, ".3g")) for one in offline],
        ),
        drawn.get("server"),
        table(
            ("server", "requests a second", "n", "p50", "p95"),
            [
                (
                    full_name(one.system),
                    f"{one.at:.3g}" if one.at is not None else DASH,
                    str(one.n),
                    *(
                        milliseconds(value) if value is not None else "n too small"
                        for value in (one.p50_ms, one.p95_ms)
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
        "difference; -1 would be perfect use of threads. For videos side by side the time is "
        "until all are answered. None is given for fewer than three sizes, nor for the length of a "
        "video: however long it is, as many clips of the same length are looked at, and how much "
        "is decoded to reach them depends on where its key frames lie. All axes are logarithmic. "
        "The videos of length and size are one of the "
        "timed videos, its first seconds forwards and backwards again and again, scaled to the "
        "size that is named; enlarged ones hold no more detail than before and decode a little "
        "faster than a film.",
        drawn.get("scaling"),
        table(
            ("against", "system", "what", "exponent"),
            [
                (SWEEPS[one.sweep], kind_of(one.system), one.part, interval(one.exponent, ".2f"))
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
        "takes at most over three videos, libraries included. What an installation takes on disk "
        "is measured by  motionfit-bench install.",
        table(
            ("system", "to the first answer", "memory at most"),
            [
                (full_name(one.name), ms_of(one.cold_start_ms), size(one.peak_memory_bytes))
                for one in report.systems
                if one.peak_memory_bytes
            ],
        ),
    )
