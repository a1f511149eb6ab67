"""What can be wrong with a request, below motionfit's error tree.

MotionfitError
└── RequestError
    ├── UploadTooLarge          upload-too-large        more bytes than the server takes
    ├── UnsupportedMediaType    unsupported-media-type  neither a form nor a video body
    ├── BadUpload               bad-upload              a form that breaks the rules of forms
    ├── MissingVideo            missing-video           no video, or an empty one, was sent
    ├── BadParameter            bad-parameter           a query parameter is out of its range
    ├── TooSlow                 too-slow                the client sends too slowly
    ├── Unauthorized            unauthorized            no API key, or one that is not known
    ├── Forbidden               forbidden               the API key does not allow this
    ├── RateLimited             rate-limited            more requests than the API key allows
    ├── NotReady                not-ready               the server is starting or stopping
    ├── Overloaded              overloaded              too many requests wait already
    ├── DeadlineExceeded        deadline-exceeded       the answer was not made in time
    │   └── WaitedTooLong       deadline-exceeded       ... because others were before it
    ├── StorageFull             storage-full            no room for the upload
    └── ReloadFailed            reload-failed           the bundle to serve next does not work
"""

from motionfit.inference.errors import MotionfitError


class RequestError(MotionfitError):
    """The request is at fault, or came at the wrong time.

    ``retry_after_seconds``: when trying again may help; None: it does not, or nobody knows.
    """

    code = "bad-request"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class UploadTooLarge(RequestError):
    """The body holds more bytes than allowed."""

    code = "upload-too-large"


class UnsupportedMediaType(RequestError):
    """The body's content type or encoding is not one that is read."""

    code = "unsupported-media-type"


class BadUpload(RequestError):
    """A multipart body that cannot be parsed."""

    code = "bad-upload"


class MissingVideo(RequestError):
    """The request holds no video."""

    code = "missing-video"


class BadParameter(RequestError):
    """A query parameter is not what it should be."""

    code = "bad-parameter"


class TooSlow(RequestError):
    """The client took too long to send its request."""

    code = "too-slow"


class Unauthorized(RequestError):
    """The request carries no API key, or one that is not known."""

    code = "unauthorized"


class Forbidden(RequestError):
    """The request's API key does not allow what is asked for."""

    code = "forbidden"


class RateLimited(RequestError):
    """More requests than the API key allows, in a time or at once."""

    code = "rate-limited"


class NotReady(RequestError):
    """The server has not answered its warm-up clip yet, or is shutting down."""

    code = "not-ready"


class Overloaded(RequestError):
    """So many requests wait that this one could not be answered in time."""

    code = "overloaded"


class DeadlineExceeded(RequestError):
    """The answer was not made within the request's deadline."""

    code = "deadline-exceeded"


class WaitedTooLong(DeadlineExceeded):
    """The deadline passed while the request waited for its turn."""


class StorageFull(RequestError):
    """The server's disk has no room for the upload."""

    code = "storage-full"


class ReloadFailed(RequestError):
    """The bundle that was to be served next cannot be; the server goes on with the old one."""

    code = "reload-failed"
