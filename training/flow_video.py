"""The flow of one video's grid of clips: a file, and a small handle that any process can use.

The file holds three NumPy arrays, one behind the other: when each clip starts, (G,) int64
microseconds; which field each moment of each clip has, (G, T) int32, since clips overlap; and the
fields, (U, h, w, 2) int8: displacement to the right and down, as ``quantised`` stores it.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.sampling import Times
from motionfit.training.whole_files import written_whole

FULL = 127
"""The stored value of a displacement at the bound."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowVideo:
    """The flow of the grid clips of one video, in a file. Picklable."""

    path: Path
    """The file in the flow folder."""
    shape: tuple[int, int, int, int, int]
    """(G, T, h, w, 2): clips, fields of a clip, height, width, components"""
    starts_us: Times
    """(G,) int64 microseconds: when each clip starts"""

    @property
    def num_fields(self) -> int:
        """How many fields the file holds; clips that overlap share some."""
        with self.path.open("rb") as file:
            return _read_up_to_fields(file)[2][0]

    def clip(self, index: int) -> NDArray[np.float32]:
        """One clip (T, h, w, 2) float32: displacement to the right and down, in units of the
        bound, so from -1 to 1.
        """
        with self.path.open("rb") as file:
            _, places, shape = _read_up_to_fields(file)
            fields = np.memmap(file, np.int8, "r", file.tell(), shape)
            return restored(fields[places[index]])

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """The handle of a file; None when it is not there, or not whole."""
        try:
            with path.open("rb") as file:
                starts_us, places, fields = _read_up_to_fields(file)
                if os.fstat(file.fileno()).st_size != file.tell() + math.prod(fields):
                    return None
        except (FileNotFoundError, ValueError, EOFError):
            return None
        clips, moments = places.shape
        _, height, width, components = fields
        shape = (clips, moments, height, width, components)
        return cls(path=path, shape=shape, starts_us=starts_us)


def write_flow(
    path: Path, fields: NDArray[np.int8], *, places: NDArray[np.int32], starts_us: Times
) -> None:
    """Write a flow file, complete or not at all.

    ``fields`` (U, h, w, 2), ``places`` (G, T) their indices, ``starts_us`` (G,).
    """
    with written_whole(path) as unfinished, unfinished.open("xb") as file:
        for array in (starts_us, places, fields):
            _append(file, np.ascontiguousarray(array))


def quantised(flow: NDArray[np.float32], *, bound_px: float) -> NDArray[np.int8]:
    """Displacements in pixels as they are stored: the square root of their share of the bound,
    with their sign. Those beyond the bound are cut to it.

    Most motion is a few hundredths of the bound, which equal steps would not tell apart; so steps
    are fine where motion is slow and coarse where it is fast.
    """
    share = np.clip(flow / bound_px, -1, 1)
    return np.asarray(np.rint(np.sign(share) * np.sqrt(np.abs(share)) * FULL), np.int8)


def restored(stored: NDArray[np.int8]) -> NDArray[np.float32]:
    """What ``quantised`` stored, as shares of the bound."""
    root = np.asarray(stored, np.float32) / np.float32(FULL)
    return np.asarray(root * np.abs(root), np.float32)


def _read_up_to_fields(file: BinaryIO) -> tuple[Times, NDArray[np.int32], tuple[int, ...]]:
    """The first two arrays, and the shape of the third, whose bytes come next."""
    starts_us, places = np.load(file), np.load(file)
    np.lib.format.read_magic(file)
    shape, _, _ = np.lib.format.read_array_header_1_0(file)
    return starts_us, places, shape


def _append(file: BinaryIO, array: NDArray[Any]) -> None:
    # As np.save, which cuts the array short without a word when the disk is full.
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.data)
