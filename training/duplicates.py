"""Videos that are in a data set more than once: the same bytes, or the same pictures again.

Two videos look the same when their mean pictures agree, and what moves before them agrees too, at
eight moments, and their durations differ by at most a tenth. Videos of one even colour have
nothing to agree in. That finds copies in other codecs, sizes, qualities and, mostly, frame rates;
and tells apart clips of one scene before one camera, which agree in the mean picture only. It also
finds one movement repeated exactly before one camera, and does not find copies that were mirrored,
cropped, slowed down or cut.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionfit.training.examine import SIDE, Pictures, Readable
from motionfit.training.manifest import Row

APPEARANCE_LIMIT = 0.25
MOTION_LIMIT = 0.38
"""Largest root mean square difference, as a share of what there is to differ in.

Of copies re-encoded at a low quality, at half the size or as MPEG-4 the largest were 0.11 and 0.32;
of clips of one scene in UCF101, Weizmann and others that agree in appearance, the smallest motion
was 0.39, mostly over 0.5.
"""
DURATION_RATIO = 1.1
_NOISE = 3.0  # grey levels: differences below are what compression leaves behind
_COARSE = 4  # side of the pictures that a first pass compares
_BLOCK = 1024
_ROUNDING = 1e-3

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Videos that are one video."""

    rows: tuple[Row, ...]
    """Two or more, in the order of the data set."""
    identical: bool
    """Whether their bytes are the same; else they look the same."""


def find_duplicates(readable: Sequence[Readable]) -> tuple[Duplicates, ...]:
    """All sets of duplicates, in the order of the data set."""
    digests = _digests(readable)
    sets = _Sets(len(readable))
    first: dict[str, int] = {}
    for index, digest in enumerate(digests):
        if digest is not None:
            sets.join(index, first.setdefault(digest, index))
    for i, j in look_alikes(readable):
        sets.join(i, j)
    return tuple(
        Duplicates(
            rows=tuple(readable[i].row for i in members),
            identical=len({digests[i] for i in members}) == 1 and digests[members[0]] is not None,
        )
        for members in sets.joined()
    )


def look_alikes(readable: Sequence[Readable]) -> Iterator[tuple[int, int]]:
    """The pairs of videos that look the same, as places in ``readable``."""
    if not readable:
        return
    pictures = np.stack([one.pictures for one in readable])
    seconds = np.array([one.info.duration_seconds for one in readable])
    order = np.argsort(seconds, kind="stable")
    coarse = [
        _fingerprints(pictures[order[k : k + _BLOCK]], side=_COARSE)
        for k in range(0, len(order), _BLOCK)
    ]
    appearance, motion = (np.concatenate(parts) for parts in zip(*coarse, strict=True))
    for start in range(0, len(order), _BLOCK):
        end = min(start + _BLOCK, len(order))
        last = np.searchsorted(seconds[order], seconds[order[end - 1]] * DURATION_RATIO, "right")
        near = _near(appearance, slice(start, end), slice(start, last), limit=APPEARANCE_LIMIT)
        near &= _near(motion, slice(start, end), slice(start, last), limit=MOTION_LIMIT)
        for pairs in _in_blocks(np.argwhere(np.triu(near, k=1)) + start):
            yield from _confirmed(order[pairs], pictures=pictures, seconds=seconds)


def differences(first: Pictures, second: Pictures) -> tuple[Floats, Floats]:
    """How far videos (N, MOMENTS, SIDE, SIDE) differ in appearance and in motion: two of (N,)."""
    pairs = zip(_fingerprints(first, side=SIDE), _fingerprints(second, side=SIDE), strict=True)
    appearance, motion = (_rms(a - b, axes=(1,)) for a, b in pairs)
    return appearance, motion


def is_even(pictures: Pictures) -> NDArray[np.bool_]:
    """Which of the videos (N, MOMENTS, SIDE, SIDE) are one even colour throughout, (N,)."""
    even: NDArray[np.bool_] = pictures.astype(np.float32).std(axis=(1, 2, 3)) <= _NOISE
    return even


def _confirmed(
    pairs: Indices, *, pictures: Pictures, seconds: NDArray[np.float64]
) -> Iterator[tuple[int, int]]:
    appearance, motion = differences(pictures[pairs[:, 0]], pictures[pairs[:, 1]])
    lengths = seconds[pairs]
    alike = lengths.max(axis=1) <= lengths.min(axis=1) * DURATION_RATIO
    alike &= ~is_even(pictures[pairs[:, 0]])
    alike &= (appearance <= APPEARANCE_LIMIT) & (motion <= MOTION_LIMIT)
    yield from map(tuple, pairs[alike].tolist())


def _fingerprints(pictures: Pictures, *, side: int) -> tuple[Floats, Floats]:
    """The mean picture (N, side * side) and what each moment adds to it (N, moments * side *
    side), both by their own contrast, then averaged down to ``side``.

    Averaging only brings two fingerprints nearer: what is far apart when coarse is far apart.
    """
    grey = pictures.astype(np.float32)
    grey -= grey.mean(axis=(1, 2, 3), keepdims=True)
    mean = grey.mean(axis=1, keepdims=True)
    appearance = mean / np.maximum(_rms(mean, axes=(1, 2, 3)), _NOISE)[:, None, None, None]
    moving = grey - mean
    motion = moving / np.hypot(_rms(moving, axes=(1, 2, 3)), _NOISE)[:, None, None, None]
    return _averaged(appearance, side=side), _averaged(motion, side=side)


def _averaged(pictures: Floats, *, side: int) -> Floats:
    count, moments = pictures.shape[:2]
    block = SIDE // side
    blocks = pictures.reshape(count, moments, side, block, side, block)
    means: Floats = blocks.mean(axis=(3, 5)).reshape(count, -1)
    return means


def _near(vectors: Floats, rows: slice, columns: slice, *, limit: float) -> NDArray[np.bool_]:
    """Whether the root mean square difference of two vectors may be within ``limit``."""
    squares = (vectors**2).mean(axis=1)
    products = vectors[rows] @ vectors[columns].T / vectors.shape[1]
    distances = squares[rows, None] + squares[None, columns] - 2 * products
    near: NDArray[np.bool_] = distances <= limit**2 + _ROUNDING
    return near


def _in_blocks(pairs: Indices) -> Iterator[Indices]:
    for start in range(0, len(pairs), _BLOCK):
        yield pairs[start : start + _BLOCK]


def _rms(values: Floats, *, axes: tuple[int, ...]) -> Floats:
    rms: Floats = np.sqrt((values**2).mean(axis=axes))
    return rms


def _digests(readable: Sequence[Readable]) -> list[str | None]:
    """sha256 of each file that is as long as another one, else None."""
    sizes: dict[int, int] = defaultdict(int)
    for one in readable:
        sizes[one.size_bytes] += 1
    return [_digest(one.row) if sizes[one.size_bytes] > 1 else None for one in readable]


def _digest(row: Row) -> str:
    with row.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Sets:
    """Which of ``count`` things were joined, directly or through others."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def join(self, i: int, j: int) -> None:
        low, high = sorted((self._root(i), self._root(j)))
        self._parent[high] = low

    def joined(self) -> list[list[int]]:
        """The sets of two or more, ascending."""
        members: dict[int, list[int]] = defaultdict(list)
        for index in range(len(self._parent)):
            members[self._root(index)].append(index)
        return [one for one in members.values() if len(one) > 1]

    def _root(self, index: int) -> int:
        while self._parent[index] != index:
            index = self._parent[index]
        return index
