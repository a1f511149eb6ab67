"""What operators ask: /healthz, /readyz, /model, /metrics, and /reload."""

from typing import Any, Self

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, ConfigDict, Field

from motionfit.serving.edge.key_file import Key
from motionfit.serving.errors import Forbidden, NotReady, ReloadFailed, Unauthorized
from motionfit.serving.examples import EXAMPLE_MODEL
from motionfit.serving.problems import answer_example, problem_responses
from motionfit.serving.schemas import ModelBody, Status
from motionfit.serving.work.checking import Checked
from motionfit.serving.work.pipeline import Pipeline
from motionfit.serving.work.reload import Reloaded, Reloader

_METRICS: dict[str, Any] = {
    "description": "Prometheus text format, or OpenMetrics where it is asked for.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


class CheckedBody(BaseModel):
    """A model, and what it says of the check clip."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    backend: str = Field(description="Runtime and device.")
    label: str = Field(description="Its best class for the check clip.")
    score: float = Field(ge=0, le=1)

    @classmethod
    def of(cls, checked: Checked) -> Self:
        """The body for ``checked``."""
        return cls(
            name=checked.bundle.name,
            version=checked.bundle.version,
            backend=checked.backend,
            label=checked.best.label,
            score=checked.best.score,
        )


class ReloadedBody(BaseModel):
    """A reload that was done."""

    model_config = ConfigDict(extra="forbid")

    model: CheckedBody = Field(description="The model that answers from now on.")
    previous: CheckedBody = Field(description="The one that answered until now.")
    difference: float | None = Field(
        description="Of their logits, relative to the largest; null where they need not agree."
    )
    settings_left: tuple[str, ...] = Field(
        description="Settings that have other values now, but need a restart."
    )
    seconds: float = Field(ge=0)

    @classmethod
    def of(cls, done: Reloaded) -> Self:
        """The body for ``done``."""
        return cls(
            model=CheckedBody.of(done.model),
            previous=CheckedBody.of(done.previous),
            difference=done.difference,
            settings_left=done.settings_left,
            seconds=done.seconds,
        )


def operation_routes(pipeline: Pipeline, reloader: Reloader) -> APIRouter:
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
        return ModelBody.of(pipeline.engine.bundle, backend=pipeline.engine.backend)

    @router.get(
        "/metrics",
        summary="Counts and times, for Prometheus.",
        response_class=Response,
        responses={200: _METRICS},
    )
    async def metrics(request: Request) -> Response:
        try:
            encode, media_type = choose_encoder(request.headers.get("accept", ""))
        except (TypeError, ValueError):  # a version that it cannot compare
            encode, media_type = choose_encoder("")
        return Response(encode(pipeline.metrics.registry), media_type=media_type)

    @router.post(
        "/reload",
        summary="Serve what the settings and the bundle's folder hold now.",
        responses=problem_responses(Unauthorized, Forbidden, ReloadFailed, NotReady),
    )
    async def reload(request: Request) -> ReloadedBody:
        _require_admin(getattr(request.state, "key", None))
        return ReloadedBody.of(await reloader.reload())

    return router


def _require_admin(key: Key | None) -> None:
    if key is None:
        raise Forbidden(
            "this server has no API keys, so nobody may reload it from here: send its process "
            "SIGHUP, or start it with keys"
        )
    if not key.admin:
        raise Forbidden(f"the key {key.name} may not reload: it was made without --admin")
