"""The JSON of the answers, as OpenAPI shows it."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from motionfit.inference.bundle import Bundle
from motionfit.inference.classifier import Answer


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", from_attributes=True, frozen=True)


class ClassScoreBody(_Schema):
    """A class and its score."""

    label: str
    score: float = Field(ge=0, le=1, description="Calibrated; all classes together give 1.")


class ClipSpanBody(_Schema):
    """The part of the video that one clip spans."""

    start_seconds: float = Field(ge=0)
    end_seconds: float = Field(ge=0)


class VideoBody(_Schema):
    """What was read."""

    container: str = Field(description="FFmpeg's name of the container.")
    codec: str
    width: int = Field(description="Pixels, as displayed.")
    height: int
    frame_rate: float | None = Field(description="Frames per second, null where not stated.")
    duration_seconds: float
    notes: tuple[str, ...] = Field(description="What a person should know about the reading.")


class ModelName(_Schema):
    """Which model answered."""

    name: str
    version: str = Field(description="The first digits of the model's sha256.")


class TimingsBody(_Schema):
    """Milliseconds of each stage."""

    receive: float = Field(description="From the request's headers to its last byte.")
    queue: float = Field(description="Waiting for a free decoder.")
    decode: float
    batch: float = Field(description="Waiting for the model.")
    infer: float
    post: float = Field(description="From the model's output to the answer.")
    total: float


class WindowBody(_Schema):
    """One window of a timeline."""

    start_seconds: float = Field(ge=0)
    end_seconds: float = Field(ge=0)
    label: str | None = Field(description='Its best class, or null for "none of these".')
    score: float = Field(ge=0, le=1)


class SegmentBody(_Schema):
    """A part of the video in which one thing is done: neighbouring windows, merged."""

    start_seconds: float = Field(ge=0)
    end_seconds: float = Field(ge=0)
    label: str
    score: float = Field(ge=0, le=1, description="Mean over its windows.")


class TimelineBody(_Schema):
    """What is done when."""

    stride_seconds: float = Field(gt=0, description="From the start of a window to the next.")
    windows: tuple[WindowBody, ...]
    segments: tuple[SegmentBody, ...]


class AnswerBody(_Schema):
    """What is done in the video."""

    label: str | None = Field(description='The best class, or null for "none of these".')
    top: tuple[ClassScoreBody, ...] = Field(description="The best classes, best first.")
    clips: tuple[ClipSpanBody, ...] = Field(description="The parts of the video looked at.")
    embedding: tuple[float, ...] | None = Field(
        description="The mean over the clips, of length 1; null unless it was asked for."
    )
    timeline: TimelineBody | None = Field(description="Null unless it was asked for.")
    video: VideoBody
    timings_ms: TimingsBody
    model: ModelName

    @classmethod
    def of(cls, answer: Answer, *, timings_ms: dict[str, float]) -> Self:
        """The body for ``answer``, with the server's own ``timings_ms`` added to the answer's.

        Stages that neither names took no time.
        """
        timings = dict.fromkeys(TimingsBody.model_fields, 0.0) | answer.timings_ms | timings_ms
        return cls.model_validate(
            {
                "label": answer.label,
                "top": answer.top,
                "clips": answer.clips,
                "embedding": answer.embedding,
                "timeline": answer.timeline,
                "video": answer.video,
                "timings_ms": {name: round(ms, 3) for name, ms in timings.items()},
                "model": {"name": answer.model_name, "version": answer.model_version},
            }
        )


class ClipSpecBody(_Schema):
    """How a video becomes the model's input."""

    num_frames: int = Field(description="Frames of a clip.")
    frame_rate: float = Field(description="Sampling rate, frames per second of video time.")
    short_side: int = Field(description="Pixels that the short side is scaled to.")
    crop: int = Field(description="Side of the centre square, pixels.")
    mean: tuple[float, float, float] = Field(description="R, G, B, of pixels from 0 to 1.")
    std: tuple[float, float, float]
    num_clips: int = Field(description="Clips spread over a video when the request names none.")
    temperature: float = Field(description="Logits are divided by it.")
    abstain_threshold: float = Field(description="A best score under it is none of these.")


class ModelBody(_Schema):
    """The model that is served."""

    name: str
    version: str
    labels: tuple[str, ...]
    clip: ClipSpecBody
    files: dict[str, str] = Field(description="File name to sha256.")
    backend: str = Field(description="Runtime and device.")

    @classmethod
    def of(cls, bundle: Bundle, *, backend: str) -> Self:
        """The body for an opened bundle that runs on ``backend``."""
        return cls(
            name=bundle.name,
            version=bundle.version,
            labels=bundle.labels,
            clip=ClipSpecBody.model_validate(bundle.spec),
            files=dict(bundle.files),
            backend=backend,
        )


class Status(_Schema):
    """That the server is there."""

    status: str
