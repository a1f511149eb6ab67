"""The pictures of a report, each a figure made of its file alone."""

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from motionfit.benchmarks.report.names import accuracy_of, engine_of, full_name, kind_of
from motionfit.benchmarks.report.result import CurveFigures, ReportResult, SystemFigures
from motionfit.benchmarks.report.stages import STAGES
from motionfit.benchmarks.report.systems import LIKE_FOR_LIKE, REFERENCE
from motionfit.training.json_record import Estimate

SWEEPS = {
    "clips": "clips of a video",
    "batch": "clips in one call, networks alone",
    "threads": "threads",
    "concurrency": "videos side by side",
    "length": "seconds of video",
    "resolution": "lines of the video",
    "width": "width of the networks",
}
COLOURS = {"student": "C0", "two-stream-dis": "C1"}
STYLES: Mapping[str, Literal["-", "--", ":", "-."]] = {
    "total": "-",
    "infer": "--",
    "decode": ":",
    "flow": "-.",
}
MANY_TIMES = (12, 60)
"""Where a picture of stages begins a panel of another scale: so many times the student's time."""
MS = 1000
MEGA = 1e6
COLUMNS = 3


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A system in the picture of accuracy."""

    system: SystemFigures
    height: float
    """The student's top-1 and the difference to it, a share 0 to 1"""
    difference: Estimate | None
    """To the student"""


def tradeoff(report: ReportResult) -> Figure | None:
    """Accuracy against median time, videos a second of CPU time, and peak memory."""
    dots = _dots(report)
    if not dots:
        return None
    axes: tuple[tuple[str, Callable[[SystemFigures], Estimate | None]], ...] = (
        ("median time of a video, ms (logarithmic)", lambda one: one.total_ms),
        ("videos per second of CPU time (logarithmic)", _per_core),
        ("memory with the libraries at most, MB, where measured", _memory),
    )
    shown = [one for one in axes if any(one[1](dot.system) for dot in dots)]
    figure = Figure(figsize=(1 + 4.4 * len(shown), 5.8), layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for panel, (label, value) in zip(panels, shown, strict=True):
        for number, dot in enumerate(dots):
            _dot(panel, dot, value(dot.system), number=number)
        panel.set_xlabel(label)
        panel.grid(alpha=0.3)
        if value is _memory:
            panel.set_xlim(0, 1.1 * panel.dataLim.xmax)
        else:
            panel.set_xscale("log")
            _plain_numbers(panel.xaxis)
    panels[0].set_ylabel("test videos classified correctly, %")
    panels[0].set_title(
        "dots: the student's and the difference to it; bars: 95 % of that",
        fontsize="small",
        loc="left",
    )
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=COLUMNS, fontsize="small")
    return figure


def _dots(report: ReportResult) -> list[Dot]:
    """Systems that have a time and an accuracy, in the engine of the student that all are held
    against.
    """
    own = accuracy_of(report, REFERENCE.name)
    found = []
    for one in report.systems:
        accuracy = accuracy_of(report, one.name)
        shown = engine_of(one.name) == engine_of(REFERENCE.name)
        if shown and one.total_ms and not isinstance(accuracy, str):
            height, difference = accuracy.top1.value, accuracy.difference
            if difference and not isinstance(own, str):  # of fewer trainings, perhaps, than its own
                height = own.top1.value + difference.value
            found.append(Dot(system=one, height=height, difference=difference))
    return found


def _dot(axes: Axes, dot: Dot, at: Estimate | None, *, number: int) -> None:
    """A dot, whose bar is the interval of the difference to the student; of the student a line."""
    system, height = dot.system, 100 * dot.height
    if at is None:
        return
    if system.name == REFERENCE.name:
        axes.axhline(height, color=f"C{number}", linestyle=":")
    axes.errorbar(
        [at.value],
        [height],
        xerr=_reach(at),
        yerr=_reach(dot.difference, scale=100) if dot.difference else None,
        fmt="osD^vP*X"[number % 8],
        color=f"C{number % 10}",
        markersize=7,
        capsize=2,
        label=kind_of(system.name),
    )


def _per_core(system: SystemFigures) -> Estimate | None:
    cpu = system.cpu_ms
    if cpu is None:
        return None
    return Estimate(value=MS / cpu.value, low=MS / cpu.high, high=MS / cpu.low)


def _memory(system: SystemFigures) -> Estimate | None:
    peak = system.peak_memory_bytes
    return None if peak is None else Estimate(value=peak / MEGA, low=peak / MEGA, high=peak / MEGA)


def waterfall(report: ReportResult) -> Figure | None:
    """Stages of each system one after the other; those that take much longer than the student in
    panels of their own, which have other scales.
    """
    systems = [one for one in report.systems if sum(one.stages_ms.values()) > 0]
    if not systems:
        return None
    totals = {one.name: sum(one.stages_ms.values()) for one in systems}
    least = totals.get(REFERENCE.name, min(totals.values()))
    places = [bisect(MANY_TIMES, totals[one.name] / least) for one in systems]
    groups = [
        [one for one, own in zip(systems, places, strict=True) if own == place]
        for place in range(len(MANY_TIMES) + 1)
    ]
    shown = [(place, group) for place, group in enumerate(groups) if group]
    heights = [1.6 + len(group) for _, group in shown]
    figure = Figure(figsize=(12, 0.9 + 0.36 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (place, group) in zip(panels, shown, strict=True):
        _bars(axes, group)
        axes.set_xlabel("ms for one video, mean of each stage")
        if place:
            axes.set_title(
                f"over {MANY_TIMES[place - 1]} times as long as the student: another scale",
                fontsize="small",
                loc="left",
            )
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(STAGES), fontsize="small")
    return figure


def _bars(axes: Axes, systems: Sequence[SystemFigures]) -> None:
    names = [full_name(one.name) for one in systems]
    left = [0.0] * len(systems)
    for number, stage in enumerate(STAGES):
        own = [one.stages_ms[stage] for one in systems]
        axes.barh(names, own, left=left, label=stage, color=f"C{number}")
        left = [a + b for a, b in zip(left, own, strict=True)]
    for place, total in enumerate(left):
        axes.annotate(
            f"{total:.0f}",
            (total, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
    axes.set_xlim(0, 1.1 * max(left))
    axes.set_ylim(len(systems) - 0.4, -0.6)


def engines(report: ReportResult) -> Figure | None:
    """Milliseconds of a clip in each engine, beside what the machine's limit would be."""
    timed = [(one, one.clip_ms) for one in report.engines if one.clip_ms]
    if not timed:
        return None
    figure = Figure(figsize=(9, 1.2 + 0.4 * len(timed)), layout="constrained")
    axes = figure.subplots()
    for place, (one, ms) in enumerate(timed):
        axes.barh(place, ms.value, xerr=_reach(ms), color="C0", capsize=3)
        said = f"{ms.value:.3g} ms" + (f", {one.share:.0%} of that rate" if one.share else "")
        axes.annotate(
            said,
            (ms.high, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
    axes.set_yticks(range(len(timed)), [engine_of(f"student@{one.name}") for one, _ in timed])
    axes.invert_yaxis()
    limits = report.limits
    if limits and limits.gemm_gflop_s:
        least = limits.flop_per_clip / limits.gemm_gflop_s.value / 1e6
        axes.axvline(
            least, color="C3", linestyle="--", label="at the rate of a matrix product in FP32"
        )
        axes.legend(fontsize="small", loc="lower right")
    axes.set_xlim(0, 1.4 * max(ms.high for _, ms in timed))
    axes.set_xlabel("ms a clip, network alone")
    return figure


def scaling(report: ReportResult) -> Figure | None:
    """A panel for each sweep: solid total, dashed networks, dotted decoding, dash-dotted flow."""
    sweeps = [name for name in SWEEPS if any(_drawn(one, name) for one in report.curves)]
    if not sweeps:
        return None
    rows = -(-len(sweeps) // COLUMNS)
    figure = Figure(figsize=(14, 4.2 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, name in zip(panels, sweeps, strict=False):
        for curve in report.curves:
            if _drawn(curve, name):
                _curve(axes, curve)
        axes.set_xlabel(SWEEPS[name])
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
        axes.set_ylabel("ms")
        axes.grid(alpha=0.3)
        sizes = sorted(
            {point.at for one in report.curves if one.sweep == name for point in one.points}
        )
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
    for axes in panels[len(sweeps) :]:
        axes.remove()
    figure.legend(handles=_keys(report.curves), loc="outside upper center", ncols=6)
    return figure


def _keys(curves: Sequence[CurveFigures]) -> list[Line2D]:
    """What colours and styles stand for."""
    systems = dict.fromkeys(curve.system for curve in curves)
    parts = dict.fromkeys(curve.part for curve in curves)
    return [
        *(
            Line2D([], [], color=_colour(name), linewidth=4, label=kind_of(name))
            for name in systems
        ),
        *(Line2D([], [], color="0.3", linestyle=STYLES[part], label=part) for part in parts),
    ]


def _plain_numbers(axis: Axis) -> None:
    """1, 2, 5, 10 and so on, for a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _colour(system: str) -> str:
    return COLOURS[system.partition("@")[0]]


def _drawn(curve: CurveFigures, sweep: str) -> bool:
    return curve.sweep == sweep and any(point.ms for point in curve.points)


def _curve(axes: Axes, curve: CurveFigures) -> None:
    points = [(one.at, one.ms) for one in curve.points if one.ms]
    axes.errorbar(
        [at for at, _ in points],
        [ms.value for _, ms in points],
        yerr=[
            [max(0.0, ms.value - ms.low) for _, ms in points],
            [max(0.0, ms.high - ms.value) for _, ms in points],
        ],
        color=_colour(curve.system),
        linestyle=STYLES[curve.part],
        marker="o",
        markersize=3,
        capsize=2,
    )


def server(report: ReportResult) -> Figure | None:
    """Percentiles against the rate of requests."""
    asked = [one for one in report.scenarios if one.scenario == "server" and one.p50_ms]
    if not asked:
        return None
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for system in dict.fromkeys(one.system for one in asked):
        own = sorted((one for one in asked if one.system == system), key=lambda one: one.at or 0)
        for name, style in (("p50_ms", "-"), ("p95_ms", "--"), ("p99_ms", ":")):
            there = [(one.at, value) for one in own if (value := getattr(one, name)) is not None]
            if there:
                axes.plot(
                    [at or 0 for at, _ in there],
                    [value for _, value in there],
                    color=_colour(system),
                    linestyle=style,
                    marker="o",
                    markersize=3,
                    label=f"{kind_of(system)}: {name.removesuffix('_ms')}",
                )
    axes.set_xlabel("requests a second")
    axes.set_ylabel("ms from arrival to answer (logarithmic)")
    axes.set_yscale("log")
    _plain_numbers(axes.yaxis)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def clips(report: ReportResult) -> Figure | None:
    """Accuracy against the number of clips."""
    own = report.clip_accuracies
    if not own:
        return None
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for shift, system in ((-0.06, REFERENCE.name), (0.06, LIKE_FOR_LIKE.name)):
        line = sorted((one.clips, one.top1) for one in own if one.system == system)
        axes.errorbar(
            [at + shift for at, _ in line],
            [100 * top1.value for _, top1 in line],
            yerr=[
                [100 * (top1.value - top1.low) for _, top1 in line],
                [100 * (top1.high - top1.value) for _, top1 in line],
            ],
            fmt="o-",
            capsize=3,
            color=_colour(system),
            label=kind_of(system),
        )
    axes.set_xlabel("clips of a video")
    axes.set_ylabel("test videos classified correctly, %")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _reach(estimate: Estimate, *, scale: float = 1) -> list[list[float]]:
    """How far an interval reaches to either side."""
    return [
        [max(0.0, scale * (estimate.value - estimate.low))],
        [max(0.0, scale * (estimate.high - estimate.value))],
    ]
