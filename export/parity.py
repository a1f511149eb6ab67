"""How far two computations of the same clips are apart, and how far they may be."""

from collections.abc import Sequence
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
    cosine: float
    """Smallest cosine between a clip's logits, or embedding, and the reference's."""
    divergence: float
    """Largest Kullback-Leibler divergence, in nats, of a clip's classes from the reference's."""
    agreement: float
    """Smallest share of clips whose best class is the same."""
    rows: float
    """Largest difference between a clip in a batch and the same clip alone."""


# FP32 in another runtime. Another order of additions costs about 1e-6; arithmetic in FP16, BF16 or
# TF32, which a runtime must not choose on its own, costs 5e-4 and more. A cosine loses the square
# of that. A divergence loses half the square of a logit's difference: with logits up to 100,
# 1e-4 of them is 5e-5 nats. A clip in a batch and alone: only the order of additions may differ.
RUNTIME = Limits(difference=1e-4, cosine=1 - 1e-6, divergence=1e-4, agreement=1.0, rows=1e-5)

# FP32 with other weights. Those rounded to float16 are off by up to 2 ** -11 each, and logits then
# by about 5e-4; twenty times that is a broken conversion. 1e-2 of logits up to 20 is 0.02 nats.
# One clip of 32 may sit between two classes and tip.
ROUNDING = Limits(difference=1e-2, cosine=0.999, divergence=0.02, agreement=0.95, rows=1e-5)

# Half precision: the rounding of weights, and that of every layer's result, which costs about as
# much again (a sidecar of half precision tells); ten times the sum is a broken conversion. On a GPU
# a batch of another size may run other kernels, which round other sums, so that a row may move by
# as much as the whole is expected to be off, and a few times that is allowed. No GPU has run this.
HALF = Limits(difference=1e-2, cosine=0.999, divergence=0.02, agreement=0.95, rows=5e-3)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Absolute differences between values and their reference."""

    largest: float
    mean: float
    scale: float
    """The largest absolute value of the reference."""
    cosine: float
    """The smallest of a clip's values with its reference; 1 where both are all zero."""

    @property
    def share(self) -> float:
        """The largest difference as a share of the scale; of a scale of zero, as it is."""
        return self.largest / (self.scale or 1.0)


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

    @property
    def cosine(self) -> float:
        """The smaller of the two outputs' cosines."""
        return min(self.logits.cosine, self.embedding.cosine)


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Shares, 0 to 1, of the clips of known class whose best class is the true one."""

    found: float
    reference: float
    clips: int
    """How many clips are of known class."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """One computation held against its reference."""

    subject: str
    """What was measured, such as ``model.onnx in openvino/cpu``."""
    reference: str
    distance: Distance
    divergence: float
    """The largest Kullback-Leibler divergence, in nats, of a clip's softmax."""
    top1_agreement: float
    """Share of clips, 0 to 1, whose best class is the same."""
    accuracy: Accuracy | None
    """None: no clip is of known class."""
    rows: Distance | None
    """Clips at the rows of batches against the same clips alone; None: not measured."""
    batches: tuple[int, ...]
    """The sizes of those batches."""
    limits: Limits

    def problems(self) -> list[str]:
        """What is outside the limits, as sentences; empty when all is well."""
        what = f"{self.subject} against {self.reference}:"
        found = self.distance.problems(what, limit=self.limits.difference)
        # Written so that NaN is a problem as well.
        if not self.distance.cosine >= self.limits.cosine:
            found.append(
                f"{what} the cosine falls to {self.distance.cosine:.6f}, needed are "
                f"{self.limits.cosine:g}"
            )
        if not self.divergence <= self.limits.divergence:
            found.append(
                f"{what} the classes diverge by {self.divergence:.1e} nats, allowed are "
                f"{self.limits.divergence:.0e}"
            )
        if not self.top1_agreement >= self.limits.agreement:
            found.append(
                f"{what} the best class agrees on {self.top1_agreement:.1%} of clips, needed are "
                f"{self.limits.agreement:.0%}"
            )
        if self.rows is not None:
            found += self.rows.problems(
                f"{self.subject}, a clip in a batch against the clip alone:",
                limit=self.limits.rows,
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values, with the limits that were applied."""
        return asdict(self)


def compare(
    found: Output,
    reference: Output,
    *,
    subject: str,
    against: str,
    limits: Limits,
    true: Sequence[int | None] = (),
    rows: Distance | None = None,
    batches: tuple[int, ...] = (),
) -> Parity:
    """Hold ``found`` against ``reference``, both of the same clips in the same order.

    ``true`` is the index of each clip's class, None where it is not known.
    """
    return Parity(
        subject=subject,
        reference=against,
        distance=distance(found, reference),
        divergence=_divergence(found.logits, reference.logits),
        top1_agreement=float(np.mean(_best(found) == _best(reference))),
        accuracy=_accuracy(found, reference, true=true),
        rows=rows,
        batches=batches,
        limits=limits,
    )


def distance(found: Output, reference: Output) -> Distance:
    """How far ``found`` is from ``reference``, both of the same clips in the same order."""
    return Distance(
        logits=_difference(found.logits, reference.logits),
        embedding=_difference(found.embedding, reference.embedding),
    )


def _best(output: Output) -> NDArray[np.intp]:
    best: NDArray[np.intp] = output.logits.argmax(axis=1)
    return best


def _accuracy(found: Output, reference: Output, *, true: Sequence[int | None]) -> Accuracy | None:
    known = [row for row, label in enumerate(true) if label is not None]
    if not known:
        return None
    labels = np.array([true[row] for row in known])
    return Accuracy(
        found=float(np.mean(_best(found)[known] == labels)),
        reference=float(np.mean(_best(reference)[known] == labels)),
        clips=len(known),
    )


def _difference(found: NDArray[np.float32], reference: NDArray[np.float32]) -> Difference:
    values, expected = found.astype(np.float64), reference.astype(np.float64)
    absolute = np.abs(values - expected)
    return Difference(
        largest=float(absolute.max()),
        mean=float(absolute.mean()),
        scale=float(np.abs(expected).max()),
        cosine=float(_cosines(values, expected).min()),
    )


def _cosines(values: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(values, axis=1) * np.linalg.norm(expected, axis=1)
    zero = (np.abs(values).max(axis=1) == 0) & (np.abs(expected).max(axis=1) == 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(zero, 1.0, (values * expected).sum(axis=1) / lengths)


def _divergence(found: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    log_found, log_reference = _log_softmax(found), _log_softmax(reference)
    return float((np.exp(log_reference) * (log_reference - log_found)).sum(axis=1).max())


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # infinite logits give NaN, which is outside all limits
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
