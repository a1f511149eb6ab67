"""What a checkpoint says of its own making: data, figures, versions. All JSON values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from motionfit.inference.clip import ClipSpec
from motionfit.training.calibration import Calibration
from motionfit.training.checkpoint import CheckpointError, load_student
from motionfit.training.config import Data
from motionfit.training.manifest import Row, data_hash
from motionfit.training.videos import Unreadable


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A student's calibration, and the figures on held-out videos that it rests on."""

    temperature: float = 1.0
    abstain_threshold: float = 0.0
    source: str
    """Whose figures these are."""
    figures: Mapping[str, Any]
    """Empty when nothing was held out."""

    def applied_to(self, spec: ClipSpec) -> ClipSpec:
        """``spec`` with this temperature and threshold."""
        return replace(spec, temperature=self.temperature, abstain_threshold=self.abstain_threshold)

    def record(self) -> dict[str, Any]:
        """What the checkpoint stores."""
        return {"source": self.source, "figures": dict(self.figures)}

    def __str__(self) -> str:
        chosen = f"temperature {self.temperature}, abstain threshold {self.abstain_threshold}"
        return f"{chosen}: {self.source}"


def not_measured() -> Measured:
    """Neither held-out videos nor an earlier run: scores are as the training left them."""
    return Measured(
        source="not calibrated, for no videos were held out (--hold-out, --hold-out-share)",
        figures={},
    )


def measured_on(calibration: Calibration, *, videos: int, accuracy: float) -> Measured:
    """Calibrated on this run's own held-out videos."""
    fitted = asdict(calibration)
    temperature, threshold = fitted.pop("temperature"), fitted.pop("abstain_threshold")
    return Measured(
        temperature=temperature,
        abstain_threshold=threshold,
        source="this run's held-out videos",
        figures={"videos": videos, "accuracy": accuracy, **fitted},
    )


def copied_from(run: Path, *, spec: ClipSpec, labels: Sequence[str]) -> Measured:
    """The calibration of an earlier run that held videos out of the same kind.

    Raises CheckpointError when that run has none, or was made with other classes or clips.
    """
    earlier = load_student(run)
    if not earlier.training["measured"]["figures"]:
        raise CheckpointError(f"{run} held no videos out, so there is no calibration to copy")
    if tuple(labels) != earlier.labels:
        raise CheckpointError(
            f"{run} knows {len(earlier.labels)} classes ({', '.join(earlier.labels)}); "
            f"this run has {len(labels)} ({', '.join(labels)})"
        )
    if spec != replace(earlier.spec, temperature=1.0, abstain_threshold=0.0):
        raise CheckpointError(f"{run} was made with other clips: {earlier.spec}, here {spec}")
    return Measured(
        temperature=earlier.spec.temperature,
        abstain_threshold=earlier.spec.abstain_threshold,
        source=f"the held-out videos of the earlier run {run.resolve().name}",
        figures=earlier.training["measured"]["figures"],
    )


def data_record(
    data: Data,
    *,
    training: Sequence[Row],
    held_out: Sequence[Row],
    unreadable: Sequence[Unreadable],
) -> dict[str, Any]:
    """Which videos a student was trained on and measured on."""
    return {
        "name": data.labelled.resolve().name,
        "where": list(data.where),
        "hold_out": list(data.hold_out),
        "training_videos": len(training),
        "training_videos_per_class": dict(sorted(Counter(row.label for row in training).items())),
        "training_sha256": data_hash(training),
        "held_out_videos": len(held_out),
        "held_out_sha256": data_hash(held_out),
        "unreadable": [asdict(one) for one in unreadable],
    }
