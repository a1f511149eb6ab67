"""Errors as RFC 9457 problem details: the one table from error to status, and the handlers."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from motionfit.inference.container import ACCEPTED
from motionfit.inference.errors import (
    DecoderCrashed,
    DecodeTimeout,
    MotionfitError,
    NoFrames,
    NotAVideo,
    UnreadableVideo,
    VideoError,
    VideoTooLarge,
)
from motionfit.serving.errors import (
    BadParameter,
    BadUpload,
    MissingVideo,
    NotReady,
    UnsupportedMediaType,
    UploadTooLarge,
)

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_SECONDS = 1


class Problem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="A URI made of the code; it only identifies.")
    title: str = Field(description="The kind of problem, always the same for a code.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="Stable; programs should look at this.")
    detail: str = Field(description="What was got, what is allowed, and what to do, for people.")


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
    DecoderCrashed: _Row(422, "The video broke the decoder", "the decoding process died"),
    VideoError: _Row(422, "The video cannot be used", "the video cannot be used"),
    NotReady: _Row(503, "The server is starting", "the server is warming up; try again"),
    DecodeTimeout: _Row(504, "Decoding took too long", "decoding took more than 10 s"),
}


def install_problems(app: FastAPI) -> None:
    """Make every error of ``app`` a problem, and describe problems in its OpenAPI document."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_exception_handler(MotionfitError, _on_motionfit_error)
    app.add_exception_handler(RequestValidationError, _on_bad_parameter)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unexpected)


def problem_responses(*errors: type[MotionfitError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses, with an example for each of ``errors``."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        problem = _problem(error, detail=TABLE[error].example)
        entry = responses.setdefault(problem.status, _empty_response(problem.status))
        entry["content"][MEDIA_TYPE]["examples"][problem.code] = {"value": problem.model_dump()}
    return responses


def answer_example(value: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI response that shows ``value``."""
    return {"content": {"application/json": {"example": value}}}


def _empty_response(status: int) -> dict[str, Any]:
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
    return {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: content}}


def _problem(error: type[MotionfitError], *, detail: str) -> Problem:
    row = next(TABLE[cls] for cls in error.__mro__ if cls in TABLE)
    return _made(row.status, code=error.code, title=row.title, detail=detail)


def _made(status: int, *, code: str, title: str, detail: str) -> Problem:
    kind = f"urn:motionfit:problem:{code}"
    return Problem(type=kind, title=title, status=status, code=code, detail=detail)


def _response(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        problem.model_dump(), problem.status, headers=headers, media_type=MEDIA_TYPE
    )


def _on_motionfit_error(request: Request, error: Exception) -> Response:
    if not any(cls in TABLE for cls in type(error).__mro__):
        raise error
    headers = {"Retry-After": str(_RETRY_AFTER_SECONDS)} if isinstance(error, NotReady) else None
    assert isinstance(error, MotionfitError)
    return _response(_problem(type(error), detail=str(error)), headers)


def _on_bad_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = "; ".join(
        f"{wrong['loc'][-1]}: {wrong['msg']}, got {wrong['input']!r:.80}"
        for wrong in error.errors()
    )
    return _response(_problem(BadParameter, detail=details))


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = f"{request.method} {request.url.path}: {phrase}. See /docs for what there is"
    code = phrase.lower().replace(" ", "-")
    problem = _made(error.status_code, code=code, title=phrase, detail=detail)
    return _response(problem, error.headers)


def _on_disconnect(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is left to read it


def _on_unexpected(request: Request, error: Exception) -> Response:
    detail = "the server failed; its log says why. Trying again may help"
    return _response(_made(500, code="internal-error", title="The server failed", detail=detail))
