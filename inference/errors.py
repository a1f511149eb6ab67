"""What can go wrong, as one tree. Each class carries the stable ``code`` that users see.

MotionfitError
├── SpecError               bad-clip-spec        a ClipSpec's field is out of its range
├── VideoError              bad-video            the video is at fault, not the machine
│   ├── NotAVideo           not-a-video          no video container that is accepted
│   ├── UnreadableVideo     unreadable-video     a video container, but damaged, encrypted, ...
│   ├── NoFrames            no-frames            readable, but holds not one picture
│   ├── VideoTooLarge       video-too-large      more pixels, frames or memory than allowed
│   ├── SpanOutside         span-outside         the part asked for begins after the video's end
│   ├── TooManyWindows      too-many-windows     more sliding windows than allowed
│   ├── DecodeTimeout       decode-timeout       decoding took longer than allowed
│   └── DecoderCrashed      decoder-crashed      the decoding process died on this video
│       └── DecoderFailed   decoder-failed       ... or met an error that nobody foresaw: a bug
├── Cancelled               cancelled            whoever asked no longer waits for the answer
├── BundleError             bad-bundle           a bundle is missing, changed or not understood
├── DatasetError            bad-dataset          a data set cannot be read as described
├── BackendError            backend-unavailable  the asked-for runtime or device is not there
├── MissingExtra            missing-extra        an optional dependency is not installed
├── ProfileError            bad-profile          batch sizes that a plan cannot have
└── VerificationError       verification-failed  an export does not agree with its source

Folders that build on this one add branches of their own beside what raises them:
``CheckpointError``, ``ConfigError`` and ``CacheError`` in ``training``, ``serving.errors``,
``benchmarks.result.ResultError`` and ``benchmarks.rules.RuleError``.
"""

from importlib.util import find_spec


class MotionfitError(Exception):
    """Base of every error that motionfit raises on purpose; ``str(error)`` is meant for users."""

    code = "motionfit-error"


class SpecError(MotionfitError, ValueError):
    """A field of a ClipSpec is out of its range."""

    code = "bad-clip-spec"


class VideoError(MotionfitError):
    """The video, or what was asked of it, is at fault."""

    code = "bad-video"

    def __init__(self, message: str, *, codec: str | None = None) -> None:
        super().__init__(message)
        self.codec = codec
        """FFmpeg's name of the video's codec, such as ``h264``; None where it is not known."""


class NotAVideo(VideoError):
    """The content is not one of the accepted video containers."""

    code = "not-a-video"


class UnreadableVideo(VideoError):
    """A video container that cannot be decoded."""

    code = "unreadable-video"


class NoFrames(VideoError):
    """The file can be read, but holds no picture."""

    code = "no-frames"


class VideoTooLarge(VideoError):
    """More pixels, frames or memory than the limits allow."""

    code = "video-too-large"


class SpanOutside(VideoError):
    """The part of the video that was asked for begins after its end."""

    code = "span-outside"


class TooManyWindows(VideoError):
    """More sliding windows than are allowed: the stride is too short for the video."""

    code = "too-many-windows"


class DecodeTimeout(VideoError):
    """Decoding did not finish within its time limit."""

    code = "decode-timeout"


class DecoderCrashed(VideoError):
    """The decoding process died on this video."""

    code = "decoder-crashed"


class DecoderFailed(DecoderCrashed):
    """The decoding process met an error on this video that nobody foresaw: a bug, not a refusal.

    Its note says where. The process goes on.
    """

    code = "decoder-failed"


class Cancelled(MotionfitError):
    """Whoever asked no longer waits for the answer."""

    code = "cancelled"


class BundleError(MotionfitError):
    """A bundle is missing, changed, or of a format that is not understood."""

    code = "bad-bundle"


class DatasetError(MotionfitError):
    """A data set cannot be read as described."""

    code = "bad-dataset"


class BackendError(MotionfitError):
    """The runtime or device that was asked for is not available."""

    code = "backend-unavailable"


class MissingExtra(MotionfitError):
    """An optional dependency is not installed."""

    code = "missing-extra"


class ProfileError(MotionfitError, ValueError):
    """Batch sizes that a TensorRT plan cannot have."""

    code = "bad-profile"


class VerificationError(MotionfitError):
    """An exported model does not agree with the model it was made from."""

    code = "verification-failed"


def require_extra(extra: str, *modules: str) -> None:
    """Raise MissingExtra, naming the extra to install, unless all ``modules`` can be imported."""
    if missing := [name for name in modules if find_spec(name) is None]:
        raise MissingExtra(
            f"this needs {', '.join(missing)}, which is not installed: "
            f'run  pip install "motionfit[{extra}]"'
        )
