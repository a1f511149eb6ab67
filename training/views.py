"""The views of a video that an evaluation looks at: K clips spread over it, 1 or 3 crops of each.

With one crop they are exactly the clips that ``inference.video.read_clips`` gives of an undamaged
video: the same times choose the frames, and the crop is the same central square. Three crops lie at
both ends and in the middle of the long side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import VideoInfo
from motionfit.inference.sampling import Times, clip_starts, frames_on_screen, sample_times
from motionfit.inference.video import read_frames
from motionfit.training.retime import retimed

CROPS = (1, 3)

Indices = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class VideoViews:
    """The frames of one video that its clips show, and which of them each clip takes."""

    frames: NDArray[np.uint8]
    """(F, h, w, 3) uint8 RGB, short side as in the ClipSpec, not cropped; only what clips need"""
    clips: tuple[Indices, ...]
    """For each number of clips asked for, (K, T) int64 places in ``frames``"""
    retimed: Indices | None
    """The same for the last of those numbers, of the video at another frame rate"""
    info: VideoInfo

    def cropped(self, clips: Indices, *, crop: int, crops: int) -> NDArray[np.uint8]:
        """Views (K * crops, T, crop, crop, 3) uint8 of clips (K, T), crops of a clip together."""
        whole = self.frames[clips]
        views = [
            whole[:, :, top : top + crop, left : left + crop]
            for top, left in crop_corners(*whole.shape[2:4], crop=crop, crops=crops)
        ]
        return np.stack(views, axis=1).reshape(-1, *views[0].shape[1:])


def read_views(
    path: Path, retime_to: Fraction | None, *, spec: ClipSpec, clip_counts: Sequence[int]
) -> VideoViews:
    """The views of a video for each of ``clip_counts``, and for the last of them again with the
    video stored at ``retime_to`` frames a second.

    Raises a VideoError when the video is at fault.
    """
    video = read_frames(path, short_side=spec.short_side)
    times, end = video.times_us, video.duration_us
    chosen = [clip_frames(times, duration_us=end, spec=spec, num_clips=k) for k in clip_counts]
    if retime_to is not None:
        stored = retimed(times, duration_us=end, rate=retime_to)
        places = clip_frames(
            stored.times_us, duration_us=stored.duration_us, spec=spec, num_clips=clip_counts[-1]
        )
        chosen.append(stored.sources[places])
    needed = np.unique(np.concatenate([one.ravel() for one in chosen]))
    kept = [np.searchsorted(needed, one) for one in chosen]
    return VideoViews(
        frames=video.frames[needed],
        clips=tuple(kept[: len(clip_counts)]),
        retimed=kept[-1] if retime_to is not None else None,
        info=video.info,
    )


def clip_frames(times_us: Times, *, duration_us: int, spec: ClipSpec, num_clips: int) -> Indices:
    """Which frames, (num_clips, T) int64, the clips of a video take: as serving would."""
    starts = clip_starts(duration_us, spec=spec, num_clips=num_clips)
    moments = np.stack([sample_times(int(start), spec=spec) for start in starts])
    return frames_on_screen(moments, frame_times_us=times_us)


def crop_corners(height: int, width: int, *, crop: int, crops: int) -> list[tuple[int, int]]:
    """(top, left) of each square: the central one, or three along the long side."""
    top, left = (height - crop) // 2, (width - crop) // 2
    if crops == 1:
        return [(top, left)]
    if height > width:
        return [(0, left), (top, left), (height - crop, left)]
    return [(top, 0), (top, left), (top, width - crop)]


def central(clips: NDArray[T], *, crop: int) -> NDArray[T]:
    """The central squares (..., crop, crop, C) of clips (..., h, w, C), as serving would."""
    [(top, left)] = crop_corners(*clips.shape[-3:-1], crop=crop, crops=1)
    return clips[..., top : top + crop, left : left + crop, :]
