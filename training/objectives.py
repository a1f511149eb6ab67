"""What a network is trained towards: losses on a batch of clips.

- ``CrossEntropy``: each clip by itself.
- ``MultiClip``: R clips of a video share one cross-entropy, on their average prediction
  (Gavrilyuk, Jain, Karmanov, Snoek: MotionFit, ICCV 2021).
- ``Matching``: cross-entropy and the distance to the features of a frozen network of optical flow
  (Crasto, Weinzaepfel, Alahari, Schmid: MARS, CVPR 2019). Without the cross-entropy it is their
  MERS.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from motionfit.inference.clip import ClipSpec
from motionfit.training.model import R2Plus1D, network_input

Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
"""A network: clips (N, C, T, S, S) -> logits (N, classes) and embeddings (N, D)"""

Average = Literal["probabilities", "logits"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A batch as the loss saw it."""

    loss: Tensor
    """Scalar, the mean over the samples."""
    right: int
    """Samples whose best class is the best of their target."""
    samples: int


class Objective(Protocol):
    """A loss on one batch. The targets come last: classes (N,) int64 or shares (N, C) float32."""

    def __call__(self, forward: Forward, *batch: Tensor) -> Outcome:
        """The outcome of a forward pass of ``forward`` on the batch, which lies on its device."""


@dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """Cross-entropy of each clip; batches of clips (N, T, S, S, channels) and targets."""

    spec: ClipSpec
    label_smoothing: float

    def __call__(self, forward: Forward, *batch: Tensor) -> Outcome:
        """As ``Objective``."""
        clips, targets = batch
        logits, _ = forward(network_input(clips, spec=self.spec))
        loss = functional.cross_entropy(
            logits.float(), targets, label_smoothing=self.label_smoothing
        )
        return _outcome(loss, logits, targets)


@dataclass(frozen=True, kw_only=True)
class MultiClip:
    """One cross-entropy for R clips of a video; batches of clips (N, R, T, S, S, channels) and
    targets. With R = 1 it is ordinary cross-entropy.
    """

    spec: ClipSpec
    label_smoothing: float
    average: Average = "probabilities"

    def __call__(self, forward: Forward, *batch: Tensor) -> Outcome:
        """As ``Objective``."""
        clips, targets = batch
        logits, _ = forward(network_input(clips.flatten(0, 1), spec=self.spec))
        joint = average_prediction(
            logits.float().reshape(*clips.shape[:2], -1), average=self.average
        )
        loss = functional.cross_entropy(joint, targets, label_smoothing=self.label_smoothing)
        return _outcome(loss, joint, targets)


def average_prediction(logits: Tensor, *, average: Average) -> Tensor:
    """Logits (N, classes) of the average prediction of R clips each, (N, R, classes).

    The average of the probabilities is logsumexp over the clips of their log-probabilities, minus
    log R. The paper says "average prediction" without saying of what; that it is by default the
    probabilities is our reading.
    """
    if average == "logits":
        return logits.mean(1)
    return torch.logsumexp(logits.log_softmax(-1), dim=1) - math.log(logits.shape[1])


class Matching:
    """Feature matching to a frozen network of optical flow; batches of clips (N, 1, T, S, S, 3)
    uint8, the flow of the same clips (N, 1, T, S, S, 2), and targets.

    The loss is cross-entropy, if asked for, plus ``alpha`` times the mean squared difference of
    the embeddings. MARS has alpha 50 and matches what comes before the last layer, as here.
    """

    def __init__(
        self,
        teacher: R2Plus1D,
        *,
        spec: ClipSpec,
        label_smoothing: float,
        alpha: float,
        cross_entropy: bool,
    ) -> None:
        self.teacher = teacher.eval().requires_grad_(False)
        self._spec = spec
        self._label_smoothing = label_smoothing
        self._alpha = alpha
        self._cross_entropy = cross_entropy

    def __call__(self, forward: Forward, *batch: Tensor) -> Outcome:
        """As ``Objective``."""
        clips, flow, targets = batch
        with torch.no_grad():
            _, wanted = self.teacher(network_input(flow.flatten(0, 1), spec=self._spec))
        logits, embedding = forward(network_input(clips.flatten(0, 1), spec=self._spec))
        loss = self._alpha * functional.mse_loss(embedding.float(), wanted.float())
        if self._cross_entropy:
            loss = loss + functional.cross_entropy(
                logits.float(), targets, label_smoothing=self._label_smoothing
            )
        return _outcome(loss, logits, targets)


def _outcome(loss: Tensor, logits: Tensor, targets: Tensor) -> Outcome:
    classes = targets if targets.ndim == 1 else targets.argmax(1)
    return Outcome(loss=loss, right=int((logits.argmax(1) == classes).sum()), samples=len(targets))
