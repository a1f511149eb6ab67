"""POST /classify."""

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from motionfit.inference.classifier import Answer
from motionfit.inference.errors import (
    DecoderCrashed,
    DecodeTimeout,
    NoFrames,
    NotAVideo,
    SpanOutside,
    TooManyWindows,
    UnreadableVideo,
    VideoTooLarge,
)
from motionfit.serving.edge.forms import FIELD
from motionfit.serving.edge.uploads import receive_video
from motionfit.serving.errors import (
    BadParameter,
    BadUpload,
    DeadlineExceeded,
    MissingVideo,
    NotReady,
    Overloaded,
    RateLimited,
    StorageFull,
    TooSlow,
    Unauthorized,
    UnsupportedMediaType,
    UploadTooLarge,
    WaitedTooLong,
)
from motionfit.serving.examples import EXAMPLE_ANSWER
from motionfit.serving.problems import answer_example, problem_responses
from motionfit.serving.routes.asking import Asked, asking
from motionfit.serving.schemas import AnswerBody
from motionfit.serving.settings import Settings
from motionfit.serving.work.deadline import Deadline
from motionfit.serving.work.disconnect import while_connected
from motionfit.serving.work.pipeline import Pipeline

_BINARY = {"type": "string", "format": "binary"}
_REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "description": "A form with one file, or the file itself, a little quicker to receive.",
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY}}
        },
        "video/*": {"schema": _BINARY},
        "application/octet-stream": {"schema": _BINARY},
    },
}
_ANSWER = answer_example(EXAMPLE_ANSWER) | {
    "headers": {
        "Server-Timing": {
            "description": "The stages' milliseconds, as in timings_ms.",
            "schema": {"type": "string"},
        }
    }
}
_PROBLEMS = problem_responses(
    MissingVideo,
    BadUpload,
    BadParameter,
    Unauthorized,
    TooSlow,
    UploadTooLarge,
    UnsupportedMediaType,
    NotAVideo,
    UnreadableVideo,
    NoFrames,
    VideoTooLarge,
    SpanOutside,
    TooManyWindows,
    DecoderCrashed,
    RateLimited,
    NotReady,
    Overloaded,
    WaitedTooLong,
    DecodeTimeout,
    DeadlineExceeded,
    StorageFull,
)


def classify_routes(pipeline: Pipeline, settings: Settings) -> APIRouter:
    """The route that takes a video and names what is done in it."""
    router = APIRouter(tags=["classification"])

    @router.post(
        "/classify",
        summary="Name what is done in a video",
        response_model=AnswerBody,
        responses={200: _ANSWER, **_PROBLEMS},
        openapi_extra={"requestBody": _REQUEST_BODY},
    )
    async def classify(
        request: Request, asked: Annotated[Asked, Depends(asking(settings))]
    ) -> Response:
        started = time.perf_counter()
        seconds = asked.deadline_seconds
        pipeline.require_place(asked.ask, deadline=Deadline.of(seconds))
        video = await receive_video(request)
        timings_ms = {"receive": (time.perf_counter() - started) * 1000}
        work = pipeline.classify(video, ask=asked.ask, deadline=Deadline.of(seconds))
        answer = await while_connected(request.receive, work)
        timings_ms |= answer.timings_ms
        timings_ms["total"] = (time.perf_counter() - started) * 1000
        request.state.timings_ms = timings_ms
        for stage, milliseconds in timings_ms.items():
            pipeline.metrics.stage(stage, milliseconds / 1000)
        return await _response(answer, timings_ms=timings_ms)

    return router


async def _response(answer: Answer, *, timings_ms: dict[str, float]) -> Response:
    if answer.timeline is None:
        body = _json(answer, timings_ms)
    else:  # thousands of windows, while others wait for this thread
        body = await asyncio.to_thread(_json, answer, timings_ms)
    entries = (f"{stage};dur={ms:.3f}" for stage, ms in timings_ms.items())
    headers = {"Server-Timing": ", ".join(entries)}
    return Response(body, headers=headers, media_type="application/json")


def _json(answer: Answer, timings_ms: dict[str, float]) -> str:
    return AnswerBody.of(answer, timings_ms=timings_ms).model_dump_json()
