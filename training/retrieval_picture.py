"""Example retrievals as a picture: a query a line, and beside it what it found."""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.inference.video import read_clips
from motionfit.training.manifest import Row
from motionfit.training.retrieval import SHOWN, Query
from motionfit.training.videos import read_each

MOST_EXAMPLES = 10
SIDE = 112  # pixels of a picture
DOTS_PER_INCH = 100
LONGEST_LABEL = 20
RIGHT, WRONG, QUERY = "tab:green", "tab:red", "0.4"

# The frame in the middle of a video.
_MIDDLE = ClipSpec(num_frames=1, frame_rate=240.0, short_side=SIDE, crop=SIDE, num_clips=1)

Picture = NDArray[np.uint8]  # (SIDE, SIDE, 3) RGB


def examples_of(found: Sequence[Query], *, seed: int) -> tuple[Query, ...]:
    """One query of each class, up to 10 classes, drawn blindly: not those that look best."""
    shuffled = np.random.default_rng(seed).permutation(len(found))
    drawn = {found[place].label: found[place] for place in shuffled}
    return tuple(drawn[label] for label in sorted(drawn))[:MOST_EXAMPLES]


def middle_frames(
    examples: Sequence[Query], *, rows: Sequence[Row], console: Console
) -> dict[str, Picture]:
    """The central square of the frame in the middle of each video that the examples show."""
    wanted = {name for query in examples for name in (query.video, *query.nearest)}
    read, _ = read_each(
        [row for row in rows if row.name in wanted],
        partial(read_clips, spec=_MIDDLE),
        what="reading pictures",
        console=console,
    )
    return {row.name: clips.frames[0, 0] for row, clips in read}


def draw_retrievals(
    examples: Sequence[Query], path: Path, *, pictures: Mapping[str, Picture], title: str
) -> None:
    """Write the examples to ``path`` as a PNG: neighbours of the right class are framed green."""
    columns = 1 + SHOWN
    figure = Figure(figsize=(1.35 * columns, 1.5 * len(examples) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(examples), columns, squeeze=False)
    for line, query in zip(grid, examples, strict=True):
        _show(line[0], pictures.get(query.video), label=query.label, colour=QUERY)
        neighbours = zip(query.nearest, query.nearest_labels, strict=True)
        for axes, (name, label) in zip(line[1:], neighbours, strict=False):
            colour = RIGHT if label == query.label else WRONG
            _show(axes, pictures.get(name), label=label, colour=colour)
        for axes in line[1 + len(query.nearest) :]:
            axes.set_axis_off()
    grid[0, 0].set_title("query", fontsize=9)
    for number, axes in enumerate(grid[0, 1:], start=1):
        axes.set_title(str(number), fontsize=9)
    figure.suptitle(title, fontsize=10, parse_math=False)
    with warnings.catch_warnings():
        # A class name in a script that the font lacks is drawn as boxes; the report spells it out.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(path, format="png", dpi=DOTS_PER_INCH)


def _show(axes: Axes, picture: Picture | None, *, label: str, colour: str) -> None:
    short = label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
    if picture is not None:
        axes.imshow(picture)
    axes.set_box_aspect(1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(short, fontsize=7, parse_math=False)
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=3)
