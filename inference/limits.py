"""What reading one video may cost."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DecodeLimits:
    """What reading one video may cost."""

    max_pixels: int = 8192 * 4352
    """Pixels of one picture, width times height."""
    max_frames: int = 216_000
    """Frames of a video: two hours at 30 frames a second."""
    max_duration_seconds: float = 7200.0
    max_streams: int = 32
    """Tracks of a file: pictures, sound, subtitles, data."""
    memory_bytes: int = 2 * 1024**3
    """Address space that the decoding process may take on top of its own. A quarter of it may
    hold decoded frames."""
    timeout_seconds: float = 20.0
    """Wall time for one video, or for one chunk of its sliding windows, in the decoding process."""
    cpu_seconds: float = 20.0
    """Processor time for the same."""
