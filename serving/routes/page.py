"""The page at ``/``: plain files of the package."""

from importlib.resources import files

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import StaticFiles

_METHODS = ["GET", "HEAD"]


def page_routes() -> APIRouter:
    """The routes of the page's files: no build step, and nothing from elsewhere."""
    page = StaticFiles(directory=str(files("motionfit.serving") / "page"))
    router = APIRouter(include_in_schema=False)

    async def answer(path: str, request: Request) -> Response:
        response = await page.get_response(path, request.scope)
        # Asked for again each time, mostly answered with 304: a new version is seen at once.
        response.headers["Cache-Control"] = "no-cache"
        return response

    @router.api_route("/", methods=_METHODS)
    async def index(request: Request) -> Response:
        return await answer("index.html", request)

    @router.api_route("/page/{path:path}", methods=_METHODS)
    async def file(path: str, request: Request) -> Response:
        return await answer(path, request)

    return router
