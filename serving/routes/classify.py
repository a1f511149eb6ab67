"""POST /classify."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from motionfit.inference.errors import (
    DecoderCrashed,
    DecodeTimeout,
    NoFrames,
    NotAVideo,
    UnreadableVideo,
    VideoTooLarge,
)
from motionfit.serving.edge.uploads import FIELD, receive_video
from motionfit.serving.errors import (
    BadParameter,
    BadUpload,
    MissingVideo,
    NotReady,
    UnsupportedMediaType,
    UploadTooLarge,
)
from motionfit.serving.examples import EXAMPLE_ANSWER
from motionfit.serving.problems import answer_example, problem_responses
from motionfit.serving.schemas import AnswerBody
from motionfit.serving.settings import Settings
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
_PROBLEMS = problem_responses(
    MissingVideo,
    BadUpload,
    BadParameter,
    UploadTooLarge,
    UnsupportedMediaType,
    NotAVideo,
    UnreadableVideo,
    NoFrames,
    VideoTooLarge,
    DecoderCrashed,
    NotReady,
    DecodeTimeout,
)


def classify_routes(pipeline: Pipeline, settings: Settings) -> APIRouter:
    """The route that takes a video and names what is done in it."""
    router = APIRouter(tags=["classification"])

    @router.post(
        "/classify",
        summary="Name what is done in a video",
        responses={200: answer_example(EXAMPLE_ANSWER), **_PROBLEMS},
        openapi_extra={"requestBody": _REQUEST_BODY},
    )
    async def classify(
        request: Request,
        clips: Annotated[
            int | None,
            Query(
                ge=1,
                le=settings.max_clips,
                description="Clips to look at; the model's own by default.",
            ),
        ] = None,
        top: Annotated[int, Query(ge=1, description="Classes to name, best first.")] = 5,
    ) -> AnswerBody:
        started = time.perf_counter()
        pipeline.require_ready()
        video = await receive_video(request)
        received = time.perf_counter()
        answer = await pipeline.classify(video, num_clips=clips, top=top)
        timings_ms = {
            "receive": (received - started) * 1000,
            "total": (time.perf_counter() - started) * 1000,
        }
        return AnswerBody.of(answer, timings_ms=timings_ms)

    return router
