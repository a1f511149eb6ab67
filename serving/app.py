"""The HTTP application: POST /classify, GET /healthz, /readyz and /model."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request

from motionfit.inference.errors import (
    DecoderCrashed,
    DecodeTimeout,
    NoFrames,
    NotAVideo,
    UnreadableVideo,
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
from motionfit.serving.examples import EXAMPLE_ANSWER, EXAMPLE_MODEL
from motionfit.serving.limits import BodyLimit
from motionfit.serving.pipeline import Pipeline
from motionfit.serving.problems import install_problems, problem_responses
from motionfit.serving.schemas import AnswerBody, ModelBody, Status
from motionfit.serving.settings import Settings
from motionfit.serving.uploads import FIELD, receive_video

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
_CLASSIFY_PROBLEMS = problem_responses(
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


def create_app(settings: Settings) -> FastAPI:
    """The application around an opened bundle; ``app.state.pipeline`` is its Pipeline.

    Raises BundleError or BackendError: an application that exists can answer.
    """
    pipeline = Pipeline.open(settings)
    app = FastAPI(
        title="motionfit",
        summary="What is done in this video?",
        version=version("motionfit"),
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.pipeline = pipeline
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    app.include_router(_classification(pipeline, max_clips=settings.max_clips))
    app.include_router(_operation(pipeline))
    install_problems(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    pipeline: Pipeline = app.state.pipeline
    warm_up = asyncio.create_task(pipeline.warm_up())
    try:
        yield
    finally:
        warm_up.cancel()
        await asyncio.to_thread(pipeline.close)


def _classification(pipeline: Pipeline, *, max_clips: int) -> APIRouter:
    router = APIRouter(tags=["classification"])

    @router.post(
        "/classify",
        summary="Name what is done in a video",
        responses={200: _example(EXAMPLE_ANSWER), **_CLASSIFY_PROBLEMS},
        openapi_extra={"requestBody": _REQUEST_BODY},
    )
    async def classify(
        request: Request,
        clips: Annotated[
            int | None,
            Query(ge=1, le=max_clips, description="Clips to look at; the model's own by default."),
        ] = None,
        top: Annotated[int, Query(ge=1, description="Classes to name, best first.")] = 5,
    ) -> AnswerBody:
        started = time.perf_counter()
        _require_ready(pipeline)
        video = await receive_video(request)
        received = time.perf_counter()
        answer = await pipeline.classify(video, num_clips=clips, top=top)
        timings_ms = {
            "receive": (received - started) * 1000,
            "total": (time.perf_counter() - started) * 1000,
        }
        return AnswerBody.of(answer, timings_ms=timings_ms)

    return router


def _operation(pipeline: Pipeline) -> APIRouter:
    router = APIRouter(tags=["operation"])

    @router.get("/healthz", summary="Is the server alive?")
    async def healthz() -> Status:
        return Status(status="alive")

    @router.get(
        "/readyz",
        summary="Would it answer? Only once a warm-up clip went through every stage.",
        responses=problem_responses(NotReady),
    )
    async def readyz() -> Status:
        _require_ready(pipeline)
        return Status(status="ready")

    @router.get("/model", summary="Which model answers?", responses={200: _example(EXAMPLE_MODEL)})
    async def model() -> ModelBody:
        return ModelBody.of(pipeline.bundle, backend=pipeline.backend)

    return router


def _require_ready(pipeline: Pipeline) -> None:
    if not pipeline.ready:
        raise NotReady("the server has not answered its warm-up clip yet; try again in a second")


def _example(value: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"example": value}}}
