"""What a folder holds of a data set's flow, in a few lines."""

from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_store import FlowSet
from motionfit.training.flow_video import FULL


def summary_of(flow: FlowSet, *, spec: FlowSpec) -> tuple[str, ...]:
    """Counts of what is there, what it takes, and the unit of what is stored."""
    videos = [video for _, video in flow.videos]
    clips = sum(video.shape[0] for video in videos)
    fields = sum(video.num_fields for video in videos)
    total = sum(video.path.stat().st_size for video in videos)
    return (
        f"flow of {len(videos)} videos by {spec.method}: {clips} clips of {spec.num_frames} "
        f"fields, {fields} of them different, since clips overlap",
        f"{total / 1e6:.1f} MB, {total / clips:,.0f} bytes a clip; a component is "
        f"at most {spec.bound_px:.2f} pixels in {spec.gap_seconds:g} s, kept in steps "
        f"of {spec.bound_px / FULL**2:.4f} (slow) to {2 * spec.bound_px / FULL:.2f} (fast)",
        *([f"{len(flow.unreadable)} videos are left out"] if flow.unreadable else []),
    )
