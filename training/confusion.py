"""The confusion matrix as a picture."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

# With more classes the cells are too small for a number that can be read.
MOST_NUMBERED = 30
LONGEST_LABEL = 28
DOTS_PER_INCH = 150


def draw_confusion(
    counts: NDArray[np.int64], path: Path, *, labels: Sequence[str], title: str
) -> None:
    """Write ``counts`` (C, C), true classes down and answers across, to ``path`` as a PNG.

    Cells are coloured by their share of the true class's videos.
    """
    size = len(labels)
    side = max(4.0, 0.42 * size if size <= MOST_NUMBERED else 0.17 * size)
    figure = Figure(figsize=(side + 2.5, side + 2.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # The exponent lets one mistake in twenty videos be seen.
    picture = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.6, vmin=0, vmax=1))
    _name_the_axes(axes, labels)
    axes.set_title(title, parse_math=False)
    if size <= MOST_NUMBERED:
        _number_the_cells(axes, counts, shares)
    figure.colorbar(picture, ax=axes, shrink=0.6, label="share of the class's videos")
    with warnings.catch_warnings():
        # A class name in a script that the font lacks is drawn as boxes; the report spells it out.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(path, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight")


def _name_the_axes(axes: Axes, labels: Sequence[str]) -> None:
    names = [_short(label) for label in labels]
    size = 9 if len(labels) <= MOST_NUMBERED else 7
    axes.set_xticks(range(len(names)), names, fontsize=size, parse_math=False, rotation=90)
    axes.set_yticks(range(len(names)), names, fontsize=size, parse_math=False)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    axes.tick_params(length=2)
    axes.set_xticks(np.arange(0.5, len(names)), minor=True)
    axes.set_yticks(np.arange(0.5, len(names)), minor=True)
    axes.grid(which="minor", color="0.9", linewidth=0.5)
    axes.tick_params(which="minor", length=0)


def _number_the_cells(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for row, column in np.argwhere(counts):
        axes.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if shares[row, column] > 0.4 else "black",
        )


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
