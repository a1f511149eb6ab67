"""What operators ask: /healthz, /readyz, /model."""

from fastapi import APIRouter

from motionfit.serving.errors import NotReady
from motionfit.serving.examples import EXAMPLE_MODEL
from motionfit.serving.problems import answer_example, problem_responses
from motionfit.serving.schemas import ModelBody, Status
from motionfit.serving.settings import Settings
from motionfit.serving.work.pipeline import Pipeline


def operation_routes(pipeline: Pipeline, settings: Settings) -> APIRouter:
    """The routes for operators."""
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
        pipeline.require_ready()
        return Status(status="ready")

    @router.get(
        "/model", summary="Which model answers?", responses={200: answer_example(EXAMPLE_MODEL)}
    )
    async def model() -> ModelBody:
        return ModelBody.of(pipeline.bundle, backend=pipeline.backend)

    return router
