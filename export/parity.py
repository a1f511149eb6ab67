"""How far two computations of the same clips are apart, and how far they may be."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.tensors import Output


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is allowed. Differences are shares of the reference's largest absolute value."""

    difference: float
    """Largest difference of a logit or of an embedding value."""
    agreement: float
    """Smallest share of clips whose best class is the same."""


# Another order of additions in FP32 costs about 1e-6; arithmetic in FP16, BF16 or TF32, which a
# runtime must not choose on its own, costs 5e-4 and more.
RUNTIME = Limits(difference=1e-4, agreement=1.0)

# Weights rounded to float16 are off by up to 2 ** -11 each, and logits then by about 5e-4; twenty
# times that is a broken conversion. One clip of 32 may sit between two classes and tip.
ROUNDING = Limits(difference=1e-2, agreement=0.95)

# A clip in a batch and the same clip alone: only the order of additions may differ.
ROW_DIFFERENCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Absolute differences between values and their reference."""

    largest: float
    mean: float
    scale: float
    """The largest absolute value of the reference."""


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How far one computation's outputs are from another's."""

    logits: Difference
    embedding: Difference

    def problems(self, what: str, *, limit: float) -> list[str]:
        """A sentence for each output that is further off than ``limit`` x its scale."""
        return [
            f"{what} {name} differ by {found.largest:.1e}, allowed are {limit * found.scale:.1e}"
            for name, found in (("logits", self.logits), ("embedding", self.embedding))
            if not found.largest <= limit * found.scale  # true for NaN as well
        ]


@dataclass(frozen=True, kw_only=True)
class Parity:
    """One computation held against its reference."""

    subject: str
    reference: str
    distance: Distance
    top1_agreement: float
    """Share of clips, 0 to 1, whose best class is the same."""
    rows: Distance | None
    """Each clip at each row of a batch against the same clip alone; None: not measured."""
    limits: Limits

    def problems(self) -> list[str]:
        """What is outside the limits, as sentences; empty when all is well."""
        found = self.distance.problems(
            f"{self.subject} against {self.reference}:", limit=self.limits.difference
        )
        if not self.top1_agreement >= self.limits.agreement:
            found.append(
                f"{self.subject} against {self.reference}: the best class agrees on "
                f"{self.top1_agreement:.1%} of clips, needed are {self.limits.agreement:.0%}"
            )
        if self.rows is not None:
            found += self.rows.problems(
                f"{self.subject}, a clip in a batch against the clip alone:",
                limit=ROW_DIFFERENCE,
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values, with the limits that were applied."""
        return {**asdict(self), "row_difference_limit": ROW_DIFFERENCE if self.rows else None}


def distance(found: Output, reference: Output) -> Distance:
    """How far ``found`` is from ``reference``, both of the same clips in the same order."""
    return Distance(
        logits=_difference(found.logits, reference.logits),
        embedding=_difference(found.embedding, reference.embedding),
    )


def top1_agreement(found: Output, reference: Output) -> float:
    """The share of clips whose best class is the same."""
    same = found.logits.argmax(axis=1) == reference.logits.argmax(axis=1)
    return float(same.mean())


def _difference(found: NDArray[np.float32], reference: NDArray[np.float32]) -> Difference:
    absolute = np.abs(found.astype(np.float64) - reference.astype(np.float64))
    return Difference(
        largest=float(absolute.max()),
        mean=float(absolute.mean()),
        scale=float(np.abs(reference).max()),
    )
