"""What can be wrong with a request, below motionfit's error tree.

MotionfitError
└── RequestError
    ├── UploadTooLarge          upload-too-large        more bytes than the server takes
    ├── UnsupportedMediaType    unsupported-media-type  neither a form nor a video body
    ├── BadUpload               bad-upload              a form that breaks the rules of forms
    ├── MissingVideo            missing-video           no video, or an empty one, was sent
    ├── BadParameter            bad-parameter           a query parameter is out of its range
    └── NotReady                not-ready               the server is still starting
"""

from motionfit.inference.errors import MotionfitError


class RequestError(MotionfitError):
    """The request is at fault, or came too early."""

    code = "bad-request"


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


class NotReady(RequestError):
    """The server has not answered its warm-up clip yet."""

    code = "not-ready"
