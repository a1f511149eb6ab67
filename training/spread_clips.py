"""Clips spread over a video, for processes that read ahead: importing this does not load torch."""

from pathlib import Path

from motionfit.inference.clip import ClipSpec
from motionfit.inference.video import Clips, read_clips


def spread_clips(path: Path, num_clips: int, *, spec: ClipSpec) -> Clips:
    """The clips that serving would take. Raises a VideoError when the video is at fault."""
    return read_clips(path, spec=spec, num_clips=num_clips)
