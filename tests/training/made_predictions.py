"""Predictions on made-up clips, for tests that compute by hand."""

from typing import Any

import numpy as np

from motionfit.inference.clip import ClipSpec
from motionfit.training.predictions import About, Predictions

SPEC = ClipSpec(num_frames=2, frame_rate=10.0, short_side=24, crop=16)
A, B, C = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def predictions_of(*, starts: dict[str, list[int]], embeddings: Any = None) -> Predictions:
    """Clips 200 ms long at these starts, in milliseconds."""
    videos = tuple(name for name, own in starts.items() for _ in own)
    starts_us = np.array([1000 * start for own in starts.values() for start in own], np.int64)
    count = len(videos)
    return Predictions(
        videos=videos,
        starts_us=starts_us,
        ends_us=starts_us + 200_000,
        logits=np.zeros((count, 2), np.float32),
        embeddings=np.array([A] * count if embeddings is None else embeddings, np.float32),
        unreadable=(),
        about=About(
            teacher="0" * 64,
            labels=("jump", "wave"),
            dimensions=3,
            spec=SPEC,
            flow=None,
            grid_clips=count,
            videos="1" * 64,
            parts=1,
        ),
    )
