"""The model's face: what goes in and what comes out, the same for every runtime and for export."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.bundle import MODEL, Bundle
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BundleError

INPUT = "frames"
LOGITS = "logits"
EMBEDDING = "embedding"

Shape = Sequence[int | None]  # None: any size


class Output(NamedTuple):
    """What the model says of N clips."""

    logits: NDArray[np.float32]
    """(N, classes) float32"""
    embedding: NDArray[np.float32]
    """(N, D) float32"""


def check_frames(frames: NDArray[np.uint8], *, spec: ClipSpec) -> None:
    """Raise ValueError unless ``frames`` is (N, T, S, S, 3) uint8 of the spec, N at least 1."""
    clip = _clip_shape(spec)
    if frames.dtype != np.uint8:
        raise ValueError(
            f"frames must be uint8 (0 to 255, not normalised: that is inside the model), "
            f"got {frames.dtype}"
        )
    if frames.ndim != 5 or frames.shape[1:] != clip or frames.shape[0] < 1:
        raise ValueError(
            f"frames must be (N, {', '.join(map(str, clip))}): N clips of {spec.num_frames} RGB "
            f"frames of {spec.crop} x {spec.crop} pixels; got {frames.shape}"
        )


def check_model(
    bundle: Bundle,
    *,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    file: str = MODEL,
) -> None:
    """Raise BundleError unless a model loaded from ``file`` takes and gives what its bundle
    promises.
    """
    expected_input = {INPUT: (None, *_clip_shape(bundle.spec))}
    if {name: tuple(shape) for name, shape in inputs.items()} != expected_input:
        raise _mismatch(bundle.path / file, f"takes {dict(inputs)}, expected {expected_input}")
    if not {LOGITS, EMBEDDING} <= set(outputs):
        raise _mismatch(
            bundle.path / file, f"gives {sorted(outputs)}, expected {LOGITS} and {EMBEDDING}"
        )
    if tuple(outputs[LOGITS]) != (None, len(bundle.labels)):
        raise _mismatch(
            bundle.path / file,
            f"gives logits {tuple(outputs[LOGITS])} for {len(bundle.labels)} labels",
        )


def _clip_shape(spec: ClipSpec) -> tuple[int, int, int, int]:
    return spec.num_frames, spec.crop, spec.crop, 3


def _mismatch(path: Path, what: str) -> BundleError:
    return BundleError(f"{path} {what}; export the bundle again")
