"""Only what gives equal answers may be compared by speed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionfit.benchmarks.result import Excluded
from motionfit.benchmarks.timing import Case
from motionfit.inference.errors import MotionfitError

Arrays = tuple[NDArray[Any], ...]


def prove_equal(
    cases: Sequence[Case], *, arrays: Callable[[Any], Arrays], tolerance: float
) -> tuple[tuple[Case, ...], tuple[Excluded, ...]]:
    """Run every case once: those that agree with the first, and the others with the reason.

    ``arrays`` takes what a case returned to the arrays that must agree: in shape, in dtype, and
    in value to ``tolerance`` times the largest magnitude in the first case's array, at least
    ``tolerance`` itself (0: bit for bit). A rival that raises a MotionfitError is left out too;
    an error of the first case is raised.
    """
    reference, *others = cases
    expected = arrays(reference.run())
    kept, excluded = [reference], []
    for case in others:
        try:
            reason = _difference(arrays(case.run()), expected, tolerance=tolerance)
        except MotionfitError as error:
            reason = str(error)
        if reason is None:
            kept.append(case)
        else:
            excluded.append(Excluded(name=case.name, reason=f"against {reference.name}: {reason}"))
    return tuple(kept), tuple(excluded)


def _difference(found: Arrays, expected: Arrays, *, tolerance: float) -> str | None:
    if len(found) != len(expected):
        return f"{len(found)} arrays instead of {len(expected)}"
    for index, (a, b) in enumerate(zip(found, expected, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"output {index} is {a.dtype}{a.shape} instead of {b.dtype}{b.shape}"
        if a.size == 0:
            continue
        largest = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())
        allowed = tolerance * max(1.0, float(np.abs(b.astype(np.float64)).max()))
        if not largest <= allowed:  # nan differs from everything
            return f"output {index} differs by up to {largest:.3g}, allowed are {allowed:.3g}"
    return None
