"""The picture of a result of kind ``engines`` or ``gpu``, drawn from its file."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from motionfit.benchmarks.engines_table import Line, engine_lines, fastest, peak_ms
from motionfit.benchmarks.result import Result, ResultError
from motionfit.training.json_record import Estimate
from motionfit.training.whole_files import written_whole

DOTS_PER_INCH = 150
STYLES = ("--", ":")  # of the peaks
FEW = 2  # batch sizes that are drawn as bars; more are drawn as curves


def draw_engines(result: Result, path: Path) -> None:
    """Write a PNG: milliseconds of a clip by each engine, with the least that is possible.

    Raises ResultError when the result is of another kind, or has too few rounds for medians.
    """
    lines = tuple(line for line in engine_lines(result) if line.clip_ms)
    if not lines:
        raise ResultError("there is nothing to draw: the result has too few rounds for medians")
    batches = sorted({line.batch for line in lines})
    figure = _bars(result, lines, batches) if len(batches) <= FEW else _curves(result, lines)
    figure.suptitle(_title(result), fontsize="medium")
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=DOTS_PER_INCH)


def _bars(result: Result, lines: Sequence[Line], batches: Sequence[int]) -> Figure:
    engines = list(dict.fromkeys(line.engine for line in lines))
    figure = Figure(figsize=(5.2 * len(batches) + 1, 1.6 + 0.36 * len(engines)), layout="tight")
    panels = figure.subplots(1, len(batches), sharey=True, squeeze=False)[0]
    for axes, batch in zip(panels, batches, strict=True):
        own = [line for line in lines if line.batch == batch]
        best = fastest(tuple(own), batch=batch)
        for line in own:
            _bar(axes, line, place=engines.index(line.engine), best=line is best)
        for (precision, ms), style in zip(peak_ms(result).items(), STYLES, strict=False):
            axes.axvline(ms, color="C3", linestyle=style, label=f"matrix product, {precision}")
        axes.set_xlim(0, 1.4 * max(line.clip_ms.high for line in own if line.clip_ms))
        axes.set_xlabel(f"ms a clip, batch {batch}")
    panels[0].set_yticks(range(len(engines)), engines)
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower left", fontsize="small")
    return figure


def _bar(axes: Axes, line: Line, *, place: int, best: bool) -> None:
    assert line.clip_ms
    colour = "C0" if best else "0.7"
    axes.barh(place, line.clip_ms.value, color=colour, xerr=_reach(line.clip_ms), capsize=3)
    said = [f"{line.clip_ms.value:.4g}"]
    said += [f"{line.speed_up.value:.2f} x"] if line.speed_up else []
    said += [f"{line.share.value:.0%}"] if line.share else []
    axes.annotate(
        ", ".join(said),
        (line.clip_ms.high, place),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize="small",
    )


def _curves(result: Result, lines: Sequence[Line]) -> Figure:
    figure = Figure(figsize=(8, 5), layout="tight")
    axes = figure.subplots()
    for engine in dict.fromkeys(line.engine for line in lines):
        own = [(line.batch, line.clip_ms) for line in lines if line.engine == engine]
        points = [(batch, ms) for batch, ms in own if ms]
        axes.errorbar(
            [batch for batch, _ in points],
            [ms.value for _, ms in points],
            yerr=[
                [ms.value - ms.low for _, ms in points],
                [ms.high - ms.value for _, ms in points],
            ],
            fmt="o-",
            capsize=3,
            label=engine,
        )
    for (precision, ms), style in zip(peak_ms(result).items(), STYLES, strict=False):
        axes.axhline(ms, color="C3", linestyle=style, label=f"matrix product, {precision}")
    batches = sorted({line.batch for line in lines})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.set_xlabel("clips of a batch")
    axes.set_ylabel("ms a clip")
    axes.legend(fontsize="small")
    return figure


def _reach(estimate: Estimate) -> list[list[float]]:
    """How far an interval reaches to the left and to the right."""
    return [[estimate.value - estimate.low], [estimate.high - estimate.value]]


def _title(result: Result) -> str:
    given = result.settings
    machine = result.machine
    where = ", ".join(gpu.name for gpu in machine.gpus) if result.kind == "gpu" else machine.cpu
    return (
        f"R(2+1)D-18, width {given['width']}, {given['frames']} x {given['size']} x "
        f"{given['size']}, on {where}\n"
        "median and 95 % interval; times the speed of torchvision eager; share of the peak"
    )
