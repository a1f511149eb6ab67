"""What the files themselves tell of the class, before anything in the pictures is looked at.

A naive Bayes classifier guesses the class from properties of the file, in cross-validation that
keeps groups whole. What it knows is held against what it knows after the classes of whole groups
were exchanged at random, many times (a permutation test). Every class counts alike, so that
chance is one in the number of classes.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold  # type: ignore[import-untyped]
from sklearn.naive_bayes import CategoricalNB  # type: ignore[import-untyped]

from motionfit.training.examine import Readable
from motionfit.training.manifest import labels_of
from motionfit.training.splits import group_of

PERMUTATIONS = 199
SIGNIFICANT = 0.01
LEAST_SHARE = 0.02
"""Of what the class is worth, in bits: less is no matter, however sure it is."""
FOLDS = 5
LEAST_VIDEOS = 20
MOST_VIDEOS = 5_000
_MOST_VALUES = 20
_INTERVALS = 10

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Value = float | str


@dataclass(frozen=True, kw_only=True)
class Property:
    """What one property of the files tells of the class."""

    name: str
    bits: float
    """Information about the class, 0 or less for none, at most ``class_bits``."""
    p_value: float
    """How often exchanged classes leave as much information."""


@dataclass(frozen=True, kw_only=True)
class GiveAways:
    """What the files tell of the class."""

    videos: int
    """How many were looked at: all, or a sample."""
    accuracy: float
    """Share of the classes guessed right from all properties, each class counting alike."""
    chance: float
    p_value: float
    """How often exchanged classes are guessed as well."""
    class_bits: float
    """What the class is worth: log2 of the number of classes."""
    properties: tuple[Property, ...]
    """The most telling first."""

    def telling(self) -> tuple[Property, ...]:
        """The properties that give the class away."""
        return tuple(
            one
            for one in self.properties
            if one.p_value <= SIGNIFICANT and one.bits >= LEAST_SHARE * self.class_bits
        )


# Frame rate in frames per second, duration in seconds, bit rate in kbit/s, sound included.
PROPERTIES: dict[str, Callable[[Readable], Value]] = {
    "frame rate": lambda one: round(one.info.frame_rate or 0.0, 2),
    "resolution": lambda one: f"{one.info.width}x{one.info.height}",
    "duration": lambda one: one.info.duration_seconds,
    "bit rate": lambda one: 0.008 * one.size_bytes / max(one.info.duration_seconds, 1e-3),
    "codec": lambda one: one.info.codec,
    "container": lambda one: one.info.container,
}


def find_give_aways(readable: Sequence[Readable], *, seed: int = 0) -> GiveAways | None:
    """What the files tell of the class; None when there are too few videos, groups or classes."""
    numbers = np.random.default_rng(seed)
    if len(readable) > MOST_VIDEOS:
        chosen = sorted(numbers.choice(len(readable), MOST_VIDEOS, replace=False).tolist())
        readable = [readable[i] for i in chosen]
    labels = labels_of(one.row for one in readable)
    classes = np.array([labels.index(one.row.label) for one in readable])
    names = [(one.row.label, *group_of(one.row)) for one in readable]
    groups = np.unique([repr(name) for name in names], return_inverse=True)[1]
    if len(labels) < 2 or len(readable) < LEAST_VIDEOS or groups.max() + 1 < FOLDS * 2:
        return None
    values = np.stack([_binned(list(map(of, readable))) for of in PROPERTIES.values()], axis=1)
    test = _Test(values, groups=groups, num_classes=len(labels), seed=seed)
    class_of_group = np.zeros(groups.max() + 1, np.int64)
    class_of_group[groups] = classes
    found = test.measure(classes)
    exchanged = [
        test.measure(numbers.permutation(class_of_group)[groups]) for _ in range(PERMUTATIONS)
    ]
    return _result(found, exchanged, videos=len(readable), num_classes=len(labels))


@dataclass(frozen=True, kw_only=True)
class _Measured:
    accuracy: float
    bits: Floats
    """(properties,)"""


class _Test:
    """Cross-validation of one set of binned values against any classes."""

    def __init__(self, values: Integers, *, groups: Integers, num_classes: int, seed: int) -> None:
        self._values = values
        self._bins = values.max(axis=0) + 1
        self._num_classes = num_classes
        folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
        self._folds = list(folds.split(values, groups=groups))

    def measure(self, classes: Integers) -> _Measured:
        """What the values tell of ``classes`` (N,)."""
        logs = np.zeros((self._values.shape[1], len(classes), self._num_classes))
        for training, test in self._folds:
            logs[:, test] = self._log_probabilities(classes[training], training, test)
        weights = 1 / np.bincount(classes, minlength=self._num_classes)[classes]
        weights /= weights.sum()
        guesses = logs.sum(axis=0).argmax(axis=1)
        right = logs[:, np.arange(len(classes)), classes]
        return _Measured(
            accuracy=float((guesses == classes) @ weights),
            bits=math.log2(self._num_classes) + (right @ weights) / math.log(2),
        )

    def _log_probabilities(self, classes: Integers, training: Integers, test: Integers) -> Floats:
        """ln P(class | value) for each property, (properties, test videos, classes)."""
        model = CategoricalNB(fit_prior=False, min_categories=self._bins)
        model.fit(self._values[training], classes)
        logs = np.full((len(self._bins), len(test), self._num_classes), -np.inf)
        for number, table in enumerate(model.feature_log_prob_):
            known = table[:, self._values[test, number]].T
            logs[number][:, model.classes_] = known
        top = logs.max(axis=2, keepdims=True)
        sums: Floats = top + np.log(np.exp(logs - top).sum(axis=2, keepdims=True))
        return logs - sums


def _result(
    found: _Measured, exchanged: Sequence[_Measured], *, videos: int, num_classes: int
) -> GiveAways:
    as_accurate = np.array([one.accuracy >= found.accuracy for one in exchanged])
    as_telling = np.stack([one.bits >= found.bits for one in exchanged])
    properties = [
        Property(name=name, bits=float(bits), p_value=p_value)
        for name, bits, p_value in zip(
            PROPERTIES, found.bits, _p_values(as_telling).tolist(), strict=True
        )
    ]
    return GiveAways(
        videos=videos,
        accuracy=found.accuracy,
        chance=1 / num_classes,
        p_value=float(_p_values(as_accurate)),
        class_bits=math.log2(num_classes),
        properties=tuple(sorted(properties, key=lambda one: -one.bits)),
    )


def _p_values(reached: NDArray[np.bool_]) -> Floats:
    """From which of the permutations, the first axis, reached what was found."""
    p_values: Floats = (1 + reached.sum(axis=0)) / (1 + len(reached))
    return p_values


def _binned(values: Sequence[Value]) -> Integers:
    """A small number for each value: its own where there are few, else that of its interval."""
    counts = Counter(values)
    numbers = [value for value in values if isinstance(value, float)]
    if len(counts) > _MOST_VALUES and numbers:
        edges = np.quantile(numbers, np.arange(1, _INTERVALS) / _INTERVALS)
        return np.searchsorted(edges, numbers).astype(np.int64)
    place = {value: i for i, (value, _) in enumerate(counts.most_common(_MOST_VALUES - 1))}
    return np.array([place.get(value, len(place)) for value in values], np.int64)
