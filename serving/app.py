"""The HTTP application: what stands before the work, and the routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from motionfit.serving.edge.access_log import AccessLog
from motionfit.serving.edge.keys import KeyGuard, Keys, describe_keys
from motionfit.serving.edge.limits import BodyLimit
from motionfit.serving.edge.request_ids import HEADER as REQUEST_ID
from motionfit.serving.edge.request_ids import RequestIds
from motionfit.serving.edge.security_headers import SecurityHeaders
from motionfit.serving.edge.slow_clients import SlowClients, UploadLimits
from motionfit.serving.handlers import install_problems
from motionfit.serving.metrics import Metrics
from motionfit.serving.routes.classify import classify_routes
from motionfit.serving.routes.open_inference import open_inference_routes
from motionfit.serving.routes.operation import operation_routes
from motionfit.serving.routes.page import page_routes
from motionfit.serving.settings import Settings
from motionfit.serving.work.pipeline import Pipeline
from motionfit.serving.work.reload import Reloader


def create_app(settings: Settings) -> FastAPI:
    """The application around an opened bundle; ``app.state`` has its ``pipeline`` and ``reloader``.

    Raises BundleError, BackendError, MissingExtra or KeyFileError: an application that exists can
    answer.
    """
    keys = Keys(settings.keys) if settings.keys is not None else None
    metrics = Metrics()
    pipeline = Pipeline.open(settings, metrics=metrics)
    reloader = Reloader(pipeline, settings, keys=keys)
    app = FastAPI(
        title="motionfit",
        summary="What is done in this video?",
        version=version("motionfit"),
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.pipeline, app.state.reloader = pipeline, reloader
    _add_middlewares(app, settings, metrics=metrics, keys=keys)
    app.include_router(classify_routes(pipeline, settings))
    app.include_router(operation_routes(pipeline, reloader))
    app.include_router(open_inference_routes(pipeline, settings))
    app.include_router(page_routes())
    install_problems(app)
    if keys is not None:
        describe_keys(app)
    return app


def _add_middlewares(
    app: FastAPI, settings: Settings, *, metrics: Metrics, keys: Keys | None
) -> None:
    """What a request passes on its way in, from the last to the first."""
    uploads = UploadLimits(
        max_uploads=settings.max_uploads,
        idle_seconds=settings.upload_idle_seconds,
        seconds=settings.upload_seconds,
    )
    if keys is not None:
        app.add_middleware(KeyGuard, keys=keys)
    app.add_middleware(SlowClients, limits=uploads)
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", REQUEST_ID],
            expose_headers=["Retry-After", "Server-Timing", REQUEST_ID],
        )
    app.add_middleware(AccessLog, metrics=metrics)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestIds)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    pipeline: Pipeline = app.state.pipeline
    warm_up = asyncio.create_task(pipeline.warm_up())
    try:
        yield
    finally:
        warm_up.cancel()
        await app.state.reloader.close()
        await asyncio.to_thread(pipeline.close)
