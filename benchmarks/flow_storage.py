"""What storing flow in bytes costs in accuracy: a teacher's answers to stored and to exact flow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from motionfit.inference.prediction import video_scores
from motionfit.inference.video import Frames, read_frames
from motionfit.training.checkpoint import Checkpoint, CheckpointError
from motionfit.training.evaluation import clip_logits, flow_logits
from motionfit.training.flow_fields import flow_fields
from motionfit.training.flow_store import open_flow
from motionfit.training.manifest import Row
from motionfit.training.views import central


@dataclass(frozen=True, kw_only=True)
class StorageCost:
    """Over all videos of a data set."""

    videos: int
    exact_top1: float
    """Accuracy on flow as it was computed, in float32."""
    stored_top1: float
    """On the same flow, stored and restored."""
    other_answers: int
    """Videos whose best class differs."""
    largest_logit_difference: float

    def settings(self) -> dict[str, int | float]:
        """For the record of a result."""
        return {
            "storage_videos": self.videos,
            "storage_exact_top1": round(self.exact_top1, 4),
            "storage_stored_top1": round(self.stored_top1, 4),
            "storage_other_answers": self.other_answers,
            "storage_largest_logit_difference": round(self.largest_logit_difference, 4),
        }


def storage_cost(teacher: Checkpoint, rows: Sequence[Row], *, console: Console) -> StorageCost:
    """Ask a motion teacher about labelled videos both ways. Raises CheckpointError or what
    ``open_flow`` raises.
    """
    if teacher.flow is None:
        raise CheckpointError("what storing flow costs is measured with a motion teacher")
    stored, exact, difference = [], [], 0.0
    side = teacher.flow.compute_side
    with TemporaryDirectory() as folder:
        found = open_flow(rows, folder=Path(folder), spec=teacher.flow, console=console)
        for row, video in track(found.videos, description="asking the teacher", console=console):
            clips = exact_clips(read_frames(row.path, short_side=side), teacher)
            ours = clip_logits(teacher.model, clips, spec=teacher.spec)
            theirs = flow_logits(teacher.model, video, spec=teacher.spec)
            difference = max(difference, float(np.abs(ours - theirs).max()))
            exact.append(_best(ours, teacher))
            stored.append(_best(theirs, teacher))
    true = [teacher.labels.index(row.label) for row, _ in found.videos]
    return StorageCost(
        videos=len(true),
        exact_top1=float(np.mean(np.equal(exact, true))),
        stored_top1=float(np.mean(np.equal(stored, true))),
        other_answers=int(np.not_equal(exact, stored).sum()),
        largest_logit_difference=difference,
    )


def exact_clips(video: Frames, teacher: Checkpoint) -> NDArray[np.float32]:
    """The central crops (G, T, S, S, 2) of the grid clips of a video that was read at the size at
    which the teacher's flow is computed, before they are stored.
    """
    spec = teacher.flow
    assert spec is not None
    made = flow_fields(video, spec=spec)
    shares = np.clip(made.fields / spec.bound_px, -1, 1)[made.places]
    return np.asarray(central(shares, crop=teacher.spec.crop), np.float32)


def _best(logits: NDArray[np.float32], teacher: Checkpoint) -> int:
    return int(video_scores(logits, temperature=teacher.spec.temperature).argmax())
