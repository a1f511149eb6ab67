"""Made videos in which only motion tells the classes apart, to try the whole method on in minutes.

A video shows soft dots of random places, sizes and colours over a random gradient. They stand
still, except in a round window of random place and size: the dots seen through it move left or
right, or turn about its centre, and that is the class. A still picture says nothing: the dots are
spread evenly at every moment, whatever their motion, and each frame is encoded by itself, so that
its artefacts do not depend on the frames beside it. Mirroring a video changes its class: train with
--no-flip.
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
TURNS = (1.2, 2.4)  # radians a second
WINDOW_RADII = (28.0, 36.0)  # pixels
WINDOW_PLACES = (6.0, 3.0)  # largest distance of its centre from the middle, across and down
DOT_RADII = (3.0, 5.0)  # pixels, one standard deviation
DOTS_PER_PIXEL = 1 / 300
SEEN_RADII = 3  # a dot is nothing farther away than so many of its radii

LABELLED, UNLABELLED, TEST = PARTS = ("labelled", "unlabelled", "test")

Points = NDArray[np.float64]
"""(D, 2) float64: x to the right and y down, pixels"""
Image = NDArray[np.float64]
"""(H, W, 3) float64, in the range of uint8"""
Motion = Callable[[Points, float], Points]
"""Where points are, so many seconds after the middle of the video."""


@dataclass(frozen=True, kw_only=True)
class DemoSize:
    """How many videos of each class the parts hold."""

    labelled: int = 4
    unlabelled: int = 100
    test: int = 25


@dataclass(frozen=True, kw_only=True)
class Dots:
    """D dots, spread evenly over a square."""

    places: Points
    radii: NDArray[np.float64]
    """(D, 1) float64, pixels"""
    colours: NDArray[np.float64]
    """(D, 3) float64, what a dot adds to red, green and blue"""


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
    gradient = _random_gradient(numbers)
    still = _random_dots(numbers, half_side=max(WIDTH, HEIGHT) / 2)
    radius = numbers.uniform(*WINDOW_RADII)
    centre = np.array([WIDTH, HEIGHT]) / 2 + numbers.uniform(-1, 1, 2) * WINDOW_PLACES
    farthest = SPEEDS[1] * NUM_FRAMES / FRAME_RATE / 2
    moving = _random_dots(numbers, half_side=radius + farthest)
    motion = MOTIONS[label](numbers)

    outside = gradient + _seen(still, at=still.places + np.array([WIDTH, HEIGHT]) / 2)
    window = _window(centre, radius=radius)
    pictures = []
    for time in ((np.arange(NUM_FRAMES) - (NUM_FRAMES - 1) / 2) / FRAME_RATE).tolist():
        inside = gradient + _seen(moving, at=motion(moving.places, time) + centre)
        pictures.append(window * inside + (1 - window) * outside)
    return np.stack(pictures).round().clip(0, 255).astype(np.uint8)


def _random_gradient(numbers: np.random.Generator) -> Image:
    """From a colour in each corner of the picture to those of the others."""
    corners = numbers.uniform(40, 216, (2, 2, 3))
    down, across = (
        np.stack([1 - shares, shares], axis=1)
        for shares in (np.linspace(0, 1, HEIGHT), np.linspace(0, 1, WIDTH))
    )
    return np.asarray(np.einsum("yi,xj,ijc->yxc", down, across, corners))


def _random_dots(numbers: np.random.Generator, *, half_side: float) -> Dots:
    """Dots about (0, 0), as far as they are seen in a square of twice ``half_side``."""
    half = half_side + SEEN_RADII * DOT_RADII[1]
    count = round((2 * half) ** 2 * DOTS_PER_PIXEL)
    return Dots(
        places=numbers.uniform(-half, half, (count, 2)),
        radii=numbers.uniform(*DOT_RADII, (count, 1)),
        colours=numbers.uniform(-120, 120, (count, 3)),
    )


def _window(centre: NDArray[np.float64], *, radius: float) -> NDArray[np.float64]:
    """(H, W, 1): 1 in a disc and 0 outside; its edge is one pixel wide."""
    across, down = (np.arange(n) + 0.5 - c for n, c in zip((WIDTH, HEIGHT), centre, strict=True))
    window: NDArray[np.float64] = radius - np.hypot(across, down[:, None]) + 0.5
    return window.clip(0, 1)[..., None]


def _seen(dots: Dots, *, at: Points) -> Image:
    """What dots at (D, 2) from the picture's upper left corner add to it."""
    far = max(WIDTH, HEIGHT) / 2 + SEEN_RADII * DOT_RADII[1]
    in_sight = (np.abs(at - np.array([WIDTH, HEIGHT]) / 2) < far).all(axis=1)
    places, radii = at[in_sight], dots.radii[in_sight]
    across = _profiles(places[:, :1], radii=radii, length=WIDTH)
    down = _profiles(places[:, 1:], radii=radii, length=HEIGHT)
    coloured = across[:, :, None] * dots.colours[in_sight, None]  # (D, W, 3)
    return np.asarray(np.tensordot(down, coloured, axes=(0, 0)))


def _profiles(
    centres: NDArray[np.float64], *, radii: NDArray[np.float64], length: int
) -> NDArray[np.float64]:
    """(D, length): what dots at (D, 1) from the start of a row of pixels give to each of them."""
    away = np.arange(length) + 0.5 - centres
    profiles: NDArray[np.float64] = np.exp(-((away / radii) ** 2) / 2)
    return profiles


def _shift(direction: int) -> Callable[[np.random.Generator], Motion]:
    def drawn(numbers: np.random.Generator) -> Motion:
        velocity = direction * numbers.uniform(*SPEEDS) * np.array([1.0, 0.0])
        return lambda points, seconds: points + seconds * velocity

    return drawn


def _turn(direction: int) -> Callable[[np.random.Generator], Motion]:
    def drawn(numbers: np.random.Generator) -> Motion:
        speed = direction * numbers.uniform(*TURNS)

        def turned(points: Points, seconds: float) -> Points:
            cosine, sine = np.cos(speed * seconds), np.sin(speed * seconds)
            moved: Points = points @ np.array([[cosine, sine], [-sine, cosine]])
            return moved

        return turned

    return drawn


MOTIONS: Mapping[str, Callable[[np.random.Generator], Motion]] = {
    "left": _shift(-1),
    "right": _shift(1),
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
