"""Errors as RFC 9457 problem details: the one table from error to status."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from motionfit.inference.container import ACCEPTED
from motionfit.inference.errors import (
    DecoderCrashed,
    DecodeTimeout,
    MotionfitError,
    NoFrames,
    NotAVideo,
    SpanOutside,
    TooManyWindows,
    UnreadableVideo,
    VideoError,
    VideoTooLarge,
)
from motionfit.serving.edge.request_ids import request_id
from motionfit.serving.errors import (
    BadParameter,
    BadUpload,
    DeadlineExceeded,
    Forbidden,
    MissingVideo,
    NotReady,
    Overloaded,
    RateLimited,
    ReloadFailed,
    RequestError,
    StorageFull,
    TooSlow,
    Unauthorized,
    UnsupportedMediaType,
    UploadTooLarge,
    WaitedTooLong,
)

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="A URI made of the code; it only identifies.")
    title: str = Field(description="The kind of problem, always the same for a code.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="Stable; programs should look at this.")
    detail: str = Field(description="What was got, what is allowed, and what to do, for people.")
    request_id: str | None = Field(
        default=None, description="What the server's log calls the request."
    )


@dataclass(frozen=True)
class _Row:
    status: int
    title: str
    example: str


TABLE: Mapping[type[MotionfitError], _Row] = {
    MissingVideo: _Row(400, "No video was sent", "the upload holds no video, or an empty one"),
    BadUpload: _Row(400, "The form cannot be read", "the form ends before its last boundary"),
    BadParameter: _Row(
        400,
        "A parameter is out of range",
        "clips: Input should be greater than or equal to 1, got 0",
    ),
    Unauthorized: _Row(401, "An API key is needed", "the request carries no API key"),
    Forbidden: _Row(403, "The API key does not allow this", "only an admin key may reload"),
    TooSlow: _Row(408, "The request came too slowly", "the upload paused for more than 10 s"),
    ReloadFailed: _Row(
        409, "The bundle was not taken", "the new bundle does not load; the old one goes on"
    ),
    UploadTooLarge: _Row(
        413,
        "The upload is too large",
        "the upload has 99000000 bytes; at most 67108864 are allowed. "
        "Send a shorter or smaller video",
    ),
    UnsupportedMediaType: _Row(
        415, "The content type is not accepted", "the content type is 'text/plain'"
    ),
    NotAVideo: _Row(415, "The upload is not a video", f"not a video; accepted are {ACCEPTED}"),
    UnreadableVideo: _Row(422, "The video cannot be read", "the file ends in its header"),
    NoFrames: _Row(422, "The video holds no picture", "the file has no video stream"),
    VideoTooLarge: _Row(422, "The video is too large", "the video has too many pixels"),
    SpanOutside: _Row(
        422, "The part asked for is not in the video", "start is 12 s, but the video has 10 s"
    ),
    TooManyWindows: _Row(
        422, "The timeline has too many windows", "7200 windows, at most 4096; take stride=1.8"
    ),
    DecoderCrashed: _Row(422, "The video broke the decoder", "the decoding process died"),
    VideoError: _Row(422, "The video cannot be used", "the video cannot be used"),
    RateLimited: _Row(429, "Too many requests", "the API key allows 60 requests a minute"),
    NotReady: _Row(503, "The server is not ready", "the server is warming up; try again"),
    Overloaded: _Row(503, "The server is busy", "32 requests wait already; try again in 2 s"),
    WaitedTooLong: _Row(503, "The server is busy", "other requests took all of the 30 s"),
    DecodeTimeout: _Row(504, "Decoding took too long", "decoding took more than 10 s"),
    DeadlineExceeded: _Row(504, "The answer took too long", "the answer took more than 30 s"),
    StorageFull: _Row(507, "The server has no room", "the server's disk is full"),
}


def problem_responses(*errors: type[MotionfitError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses, with an example for each of ``errors``."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        problem = _problem(error, detail=TABLE[error].example)
        entry = responses.setdefault(problem.status, _empty_response(problem.status))
        entry["content"][MEDIA_TYPE]["examples"][problem.code] = {
            "value": problem.model_dump(exclude_none=True)
        }
    return responses


def answer_example(value: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI response that shows ``value``."""
    return {"content": {"application/json": {"example": value}}}


def _empty_response(status: int) -> dict[str, Any]:
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
    return {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: content}}


def problem_of(error: MotionfitError) -> Problem:
    """The problem that ``error`` is. Raises KeyError when it is none that a client should see."""
    return _problem(type(error), detail=str(error))


def headers_of(error: MotionfitError) -> dict[str, str]:
    """The headers that the problem of ``error`` is answered with."""
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, RequestError) and error.retry_after_seconds is not None:
        return {"Retry-After": str(max(1, math.ceil(error.retry_after_seconds)))}
    return {}


def problem_response(error: MotionfitError) -> Response:
    """The answer to a request that ended with ``error``. KeyError as in ``problem_of``."""
    return respond(problem_of(error), headers_of(error))


def _problem(error: type[MotionfitError], *, detail: str) -> Problem:
    row = next((TABLE[cls] for cls in error.__mro__ if cls in TABLE), None)
    if row is None:
        raise KeyError(error)
    return other_problem(row.status, code=error.code, title=row.title, detail=detail)


def other_problem(status: int, *, code: str, title: str, detail: str) -> Problem:
    """A problem that is not in the table."""
    kind = f"urn:motionfit:problem:{code}"
    return Problem(type=kind, title=title, status=status, code=code, detail=detail)


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The response that carries ``problem``, with the id of the request that it answers."""
    problem = problem.model_copy(update={"request_id": request_id.get()})
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        problem.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )
