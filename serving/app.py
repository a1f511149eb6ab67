"""The HTTP application: what stands before the work, and the routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from motionfit.serving.edge.limits import BodyLimit
from motionfit.serving.problems import install_problems
from motionfit.serving.routes.classify import classify_routes
from motionfit.serving.routes.operation import operation_routes
from motionfit.serving.settings import Settings
from motionfit.serving.work.pipeline import Pipeline


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
    app.include_router(classify_routes(pipeline, settings))
    app.include_router(operation_routes(pipeline, settings))
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
