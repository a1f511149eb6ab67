"""The pictures of the experiment's report."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from motionfit.benchmarks.experiment.figures import TOP1, WITHIN_RATE
from motionfit.benchmarks.experiment.protocol import RANDOM
from motionfit.benchmarks.experiment.result import ExperimentResult, Measure, Summary
from motionfit.training.json_record import Estimate

DOTS_PER_INCH = 150


def draw_arms(result: ExperimentResult, path: Path) -> None:
    """Accuracy of each arm with every cell as a dot, and differences to random initialisation."""
    main = result.main()
    compared = any(measure_of(one, TOP1).difference for one in main)
    figure = _figure(11, 1.4 + 0.42 * len(main))
    left, *others = figure.subplots(1, 1 + compared, sharey=True, squeeze=False)[0]
    for row, one in enumerate(main):
        own = [100 * top1 for top1 in one.per_cell.values()]
        left.plot(own, [row] * len(own), "o", color="0.7", markersize=4)
        _draw(left, measure_of(one, TOP1).value, place=row, colour="C0")
    left.set_yticks(range(len(main)), [one.arm for one in main])
    left.invert_yaxis()
    left.set_xlabel("top-1, %; dots: cells")
    for right in others:
        _draw_differences(main, right)
    _save(figure, path)


def _draw_differences(main: Sequence[Summary], axes: Axes) -> None:
    for row, one in enumerate(main):
        for name, colour, shift in ((TOP1, "C0", -0.12), (WITHIN_RATE, "C1", 0.12)):
            if difference := measure_of(one, name).difference:
                _draw(axes, difference, place=row + shift, colour=colour)
    axes.axvline(0, color="0.5", linewidth=1)
    axes.set_xlabel(f"points more than {RANDOM};\nblue: top-1, orange: within the frame rate")


def draw_curve(result: ExperimentResult, path: Path) -> None:
    """Accuracy against the number of labelled groups, for the arms that were run with several."""
    arms: dict[str, list[Summary]] = {}
    for one in sorted(result.summaries, key=lambda one: one.labelled_groups):
        arms.setdefault(one.arm, []).append(one)
    figure = _figure(6, 4)
    axes = figure.subplots()
    several = {arm: own for arm, own in arms.items() if len(own) > 1}
    for number, (arm, own) in enumerate(several.items()):
        values = [measure_of(one, TOP1).value for one in own]
        # Beside each other, so that intervals can be told apart.
        places = [one.labelled_groups + 0.06 * number for one in own]
        axes.errorbar(
            places,
            [100 * one.value for one in values],
            yerr=_bars(values),
            fmt="o-",
            capsize=3,
            label=arm,
        )
    axes.set_xlabel("labelled groups of each class")
    axes.set_ylabel("top-1, %")
    if several:
        axes.legend()
    _save(figure, path)


def measure_of(summary: Summary, name: str) -> Measure:
    """The measure of that name, which every arm has."""
    return next(one for one in summary.measures if one.name == name)


def _draw(axes: Axes, estimate: Estimate, *, place: float, colour: str) -> None:
    axes.errorbar(
        [100 * estimate.value], [place], xerr=_bars([estimate]), fmt="o", capsize=3, color=colour
    )


def _bars(estimates: Sequence[Estimate]) -> list[list[float]]:
    """How far each interval reaches down and up, in points."""
    return [
        [max(0.0, 100 * (one.value - one.low)) for one in estimates],
        [max(0.0, 100 * (one.high - one.value)) for one in estimates],
    ]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH)
