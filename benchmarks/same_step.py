"""Only loops that do the same may be compared by speed: same weights, same clips, same gradient."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from motionfit.benchmarks.contender import Contender
from motionfit.benchmarks.result import Excluded
from motionfit.benchmarks.rivals import Arrays, prove_equal
from motionfit.benchmarks.timing import Case

TOLERANCE = {"fp32": 0.01, "bf16": 0.25}
"""Precision -> largest difference of a gradient, as a share of the largest gradient."""
LOSS_TOLERANCE = 0.01
"""Largest difference of the loss, as a share of the gradient's tolerance."""

Outcome = tuple[float, NDArray[np.float32]]


def proven_equal(
    contenders: Sequence[Contender], frames: Tensor, labels: Tensor
) -> tuple[tuple[Contender, ...], tuple[Excluded, ...]]:
    """Let each train on frames (N, T, S, S, 3) uint8: those that agree with the first, and why the
    others do not. Differences are given in units of what ``TOLERANCE`` is of.
    """
    first, *others = contenders
    expected = first.first_step(frames, labels)
    kept, excluded = [first], list[Excluded]()
    for one in others:
        _, unequal = prove_equal(
            [
                Case(name=first.name, run=lambda: expected),
                Case(name=one.name, run=partial(one.first_step, frames, labels)),
            ],
            arrays=partial(_differences, expected=expected),
            tolerance=TOLERANCE[one.precision],
        )
        excluded += unequal
        if not unequal:
            kept.append(one)
    return tuple(kept), tuple(excluded)


def _differences(found: Outcome, *, expected: Outcome) -> Arrays:
    loss = np.array([found[0] - expected[0]]) / LOSS_TOLERANCE
    return loss, (found[1] - expected[1]) / np.abs(expected[1]).max()
