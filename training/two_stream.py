"""What a network of flow says of videos, and what it says together with a network of RGB.

Late fusion: the class scores of a video are the mean of those of the two networks, each with weight
one half, as in "Two-Stream Convolutional Networks for Action Recognition in Videos" (Simonyan and
Zisserman, NeurIPS 2014), who also try a classifier on top. The weight is fixed: nothing is tuned on
the videos that are measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from motionfit.inference.errors import DatasetError
from motionfit.inference.prediction import video_scores
from motionfit.training.checkpoint import Checkpoint, CheckpointError
from motionfit.training.evaluation import flow_logits
from motionfit.training.flow_store import open_flow
from motionfit.training.manifest import Row
from motionfit.training.scores import Unreadable
from motionfit.training.watching import Looks, check_labels, see

RGB_WEIGHT = 0.5

Scores = NDArray[np.float64]  # (V, C), each line adds up to 1


@dataclass(frozen=True, kw_only=True, eq=False)
class BothStreams:
    """What two networks say of the V videos that both could read."""

    rows: tuple[Row, ...]
    """(V,) in the order asked for"""
    frame_rates: tuple[float | None, ...]
    """(V,) frames per second that each file states"""
    rgb: Scores
    """(V, C)"""
    flow: Scores
    """(V, C)"""
    unreadable: tuple[Unreadable, ...]
    """The other videos"""

    @property
    def fused(self) -> Scores:
        """(V, C): the mean of the two."""
        return RGB_WEIGHT * self.rgb + (1 - RGB_WEIGHT) * self.flow


def both_streams(
    rgb: Checkpoint, flow: Checkpoint, *, rows: Sequence[Row], folder: Path, console: Console
) -> BothStreams:
    """The scores of an RGB and a flow network for labelled ``rows``; models compute where they are.

    The RGB network looks as in an evaluation: its checkpoint's number of clips, at the centre. The
    flow is that in ``folder``; what is missing there is computed. Raises CheckpointError when the
    networks are not of these kinds or know different classes, DatasetError when no video is left
    or a label is none of the classes.
    """
    if rgb.flow is not None:
        raise CheckpointError("the first network must take RGB; it takes optical flow")
    if rgb.labels != flow.labels:
        raise CheckpointError(
            f"the networks know different classes, so their scores have no mean: RGB "
            f"{', '.join(rgb.labels)}; flow {', '.join(flow.labels)}"
        )
    check_labels(rows, labels=rgb.labels)
    moving, flow_lines = flow_scores(flow, rows, folder=folder, console=console)
    seen, unseen = see(
        rgb.model,
        [(row, None) for row in rows],
        spec=rgb.spec,
        labels=rgb.labels,
        looks=Looks(clip_counts=(rgb.spec.num_clips,), crops=1),
        console=console,
    )
    by_name = {row.name: line for row, line in zip(moving, flow_lines, strict=True)}
    both = [one for one in seen if one.row.name in by_name]
    if not both:
        raise DatasetError(f"of none of {len(rows)} videos there are both pictures and flow")
    return BothStreams(
        rows=tuple(one.row for one in both),
        frame_rates=tuple(one.frame_rate for one in both),
        rgb=_finite(np.stack([one.scores[-1] for one in both])),
        flow=np.stack([by_name[one.row.name] for one in both]),
        unreadable=(
            *(Unreadable(video=r.name, code=e.code, reason=str(e)) for r, e in unseen),
            *(
                Unreadable(video=one.row.name, code="no-flow", reason="no flow could be computed")
                for one in seen
                if one.row.name not in by_name
            ),
        ),
    )


def flow_scores(
    checkpoint: Checkpoint, rows: Sequence[Row], *, folder: Path, console: Console
) -> tuple[tuple[Row, ...], Scores]:
    """What a flow network says: the rows that could be read, and their class scores (V, C).

    The score is the mean, over a video's grid clips in ``folder``, of softmax(logits / temperature)
    of the central crop; missing flow is computed. Raises CheckpointError when the network takes no
    flow or answers with no finite numbers, and what ``open_flow`` raises.
    """
    if checkpoint.flow is None:
        raise CheckpointError("a network of optical flow is needed; this one takes RGB")
    videos = open_flow(rows, folder=folder, spec=checkpoint.flow, console=console).videos
    if not videos:
        raise DatasetError(f"of none of {len(rows)} videos flow could be computed")
    scores = [
        video_scores(
            flow_logits(checkpoint.model, flow, spec=checkpoint.spec),
            temperature=checkpoint.spec.temperature,
        )
        for _, flow in track(videos, description="watching flow", console=console)
    ]
    return tuple(row for row, _ in videos), _finite(np.stack(scores))


def _finite(scores: Scores) -> Scores:
    if not np.isfinite(scores).all():
        raise CheckpointError("a network answers with no finite numbers: its training failed")
    return scores
