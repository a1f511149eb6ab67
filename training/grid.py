"""The fixed grid of clips of a video: the same for flow, for RGB and for pseudo-labels."""

from motionfit.inference.clip import ClipSpec
from motionfit.inference.sampling import Times, clip_starts


def grid_starts(duration_us: int, *, spec: ClipSpec, clips: int) -> Times:
    """When the ``clips`` clips of a video start, (clips,) int64 microseconds from its first frame.

    They are where recognition looks too (``inference.sampling.clip_starts``): in the middles of
    equal parts of the range of possible starts, overlapping where the video is short. Only frames
    and rate of ``spec`` matter. ``duration_us`` is as ``inference.video.read_frames`` gives it.
    """
    return clip_starts(duration_us, spec=spec, num_clips=clips)
