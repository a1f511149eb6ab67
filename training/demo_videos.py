"""Made videos in which only motion tells the classes apart, to try the whole method on in minutes.

A video shows an endless plane of soft dots, of random places, sizes and colours, over a random
gradient. The plane moves left, right, up or down, or turns about a random point: that is its class.
A still picture of it says nothing: the dots are spread evenly over the plane at every moment,
whatever its motion, and each frame is encoded by itself, so that its artefacts do not depend on
the frames beside it. Mirroring a video changes its class: train with --no-flip.
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from motionfit.training.manifest import METADATA
from motionfit.training.whole_files import written_whole

WIDTH, HEIGHT = 96, 72  # pixels
FRAME_RATE = 20
NUM_FRAMES = 32
SPEEDS = (20.0, 40.0)  # pixels a second
TURNS = (0.8, 1.6)  # radians a second
TURNING_POINTS = 0.2  # their largest distance from the middle, as a share of width and height
DOT_RADII = (3.0, 5.0)  # pixels, one standard deviation
DOTS_PER_PIXEL = 1 / 350
SEEN_RADII = 3  # a dot is nothing farther away than so many of its radii

LABELLED, UNLABELLED, TEST = PARTS = ("labelled", "unlabelled", "test")

Points = NDArray[np.float64]
"""(D, 2) float64: x to the right and y down from the middle of the picture, pixels"""
Motion = Callable[[Points, float], Points]
"""Where points are, so many seconds after the middle of the video."""


@dataclass(frozen=True, kw_only=True)
class DemoSize:
    """How many videos of each class the parts hold."""

    labelled: int = 6
    unlabelled: int = 80
    test: int = 12


@dataclass(frozen=True, kw_only=True)
class Plane:
    """What a video shows, in the middle of its time."""

    dots: Points
    radii: NDArray[np.float64]
    """(D,) float64, pixels"""
    colours: NDArray[np.float64]
    """(D, 3) float64, what a dot adds to red, green and blue"""
    background: NDArray[np.float64]
    """(H, W, 3) float64, in the range of uint8"""


def make_demo(folder: Path, *, size: DemoSize, seed: int) -> None:
    """Write the data sets ``folder``/labelled, unlabelled and test, each with a metadata.csv.

    The one of the unlabelled videos gives their classes too, so that the quality of pseudo-labels
    can be measured; training does not read it. ``seed`` decides every byte. A part that is complete
    is left as it is, so that what was stopped can be called again.
    """
    counts = {LABELLED: size.labelled, UNLABELLED: size.unlabelled, TEST: size.test}
    for number, (part, count) in enumerate(counts.items()):
        table = folder / part / METADATA
        if not table.exists():
            _make_part(table, each=count, key=(seed, number))


def _make_part(table: Path, *, each: int, key: tuple[int, int]) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    labels = np.repeat(sorted(MOTIONS), each)
    # Keyed like one more video: numpy pads keys with zeros, so ``key`` alone is the first one's.
    labels = np.random.default_rng((*key, len(labels))).permutation(labels).tolist()
    # Names that no other part has: a report tells by them which videos a network has seen.
    names = [f"{table.parent.name}-{number:04d}.mp4" for number in range(len(labels))]
    for number, (name, label) in enumerate(zip(names, labels, strict=True)):
        pictures = made_pictures(label, numbers=np.random.default_rng((*key, number)))
        _encode(pictures, table.parent / name)
    with written_whole(table) as file, file.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([("path", "label"), *zip(names, labels, strict=True)])


def made_pictures(label: str, *, numbers: np.random.Generator) -> NDArray[np.uint8]:
    """A video (T, H, W, 3) uint8 of the class ``label``, a key of ``MOTIONS``."""
    plane = _random_plane(numbers)
    motion = MOTIONS[label](numbers)
    times = (np.arange(NUM_FRAMES) - (NUM_FRAMES - 1) / 2) / FRAME_RATE
    return np.stack([_picture(plane, at=motion(plane.dots, time)) for time in times.tolist()])


def _random_plane(numbers: np.random.Generator) -> Plane:
    """A square so large that no motion brings its edge into the picture."""
    seconds = NUM_FRAMES / FRAME_RATE / 2
    half = (
        (0.5 + TURNING_POINTS) * np.hypot(WIDTH, HEIGHT)
        + SPEEDS[1] * seconds
        + SEEN_RADII * DOT_RADII[1]
    )
    count = round((2 * half) ** 2 * DOTS_PER_PIXEL)
    corners = numbers.uniform(40, 216, (2, 2, 3))
    across, down = (np.linspace(0, 1, length) for length in (WIDTH, HEIGHT))
    return Plane(
        dots=numbers.uniform(-half, half, (count, 2)),
        radii=numbers.uniform(*DOT_RADII, count),
        colours=numbers.uniform(-120, 120, (count, 3)),
        background=np.einsum(
            "yi,xj,ijc->yxc", np.stack([1 - down, down], 1), np.stack([1 - across, across], 1),
            corners,
        ),
    )  # fmt: skip


def _picture(plane: Plane, *, at: Points) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: the plane with its dots at (D, 2)."""
    edges = np.array([WIDTH, HEIGHT]) / 2 + SEEN_RADII * plane.radii[:, None]
    seen = (np.abs(at) < edges).all(axis=1)
    centres, radii = at[seen], plane.radii[seen, None]
    across = _profiles(centres[:, 0, None], radii=radii, length=WIDTH)
    down = _profiles(centres[:, 1, None], radii=radii, length=HEIGHT)
    coloured = across[:, :, None] * plane.colours[seen, None]  # (D, W, 3)
    dots = np.tensordot(down, coloured, axes=(0, 0))
    picture: NDArray[np.uint8] = (plane.background + dots).round().clip(0, 255).astype(np.uint8)
    return picture


def _profiles(
    centres: NDArray[np.float64], *, radii: NDArray[np.float64], length: int
) -> NDArray[np.float64]:
    """(D, length): what dots at (D, 1) from the middle of a row of pixels give to each of them."""
    away = np.arange(length) - (length - 1) / 2 - centres
    profiles: NDArray[np.float64] = np.exp(-((away / radii) ** 2) / 2)
    return profiles


def _shift(x: int, y: int) -> Callable[[np.random.Generator], Motion]:
    def drawn(numbers: np.random.Generator) -> Motion:
        velocity = numbers.uniform(*SPEEDS) * np.array([x, y])
        return lambda points, seconds: points + seconds * velocity

    return drawn


def _turn(direction: int) -> Callable[[np.random.Generator], Motion]:
    def drawn(numbers: np.random.Generator) -> Motion:
        centre = numbers.uniform(-1, 1, 2) * TURNING_POINTS * np.array([WIDTH, HEIGHT])
        speed = direction * numbers.uniform(*TURNS)

        def turned(points: Points, seconds: float) -> Points:
            cosine, sine = np.cos(speed * seconds), np.sin(speed * seconds)
            turn = np.array([[cosine, sine], [-sine, cosine]])
            moved: Points = (points - centre) @ turn + centre
            return moved

        return turned

    return drawn


MOTIONS: Mapping[str, Callable[[np.random.Generator], Motion]] = {
    "left": _shift(-1, 0),
    "right": _shift(1, 0),
    "up": _shift(0, -1),
    "down": _shift(0, 1),
    "clockwise": _turn(1),
    "anticlockwise": _turn(-1),
}
"""The classes, each with what draws one of its motions."""


def _encode(pictures: NDArray[np.uint8], path: Path) -> None:
    with av.open(path, mode="w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.gop_size = 1
        stream.codec_context.thread_count = 1  # threads cut the picture, and so change the bytes
        stream.bit_rate = 2_000_000
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
