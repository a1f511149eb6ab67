"""What an application does with errors: each becomes a problem."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from motionfit.inference.errors import MotionfitError
from motionfit.serving.edge.access_log import CLIENT_WENT_AWAY
from motionfit.serving.errors import BadParameter
from motionfit.serving.problems import TABLE, Problem, other_problem, problem_response, respond


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


# The handlers are coroutines, although they await nothing: other functions are called on threads.


async def _on_motionfit_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MotionfitError)
    if not any(cls in TABLE for cls in type(error).__mro__):
        raise error  # the access log answers for it
    request.state.problem = error.code  # for the access log
    return problem_response(error)


async def _on_bad_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = "; ".join(
        f"{wrong['loc'][-1]}: {wrong['msg']}, got {wrong['input']!r:.80}"
        for wrong in error.errors()
    )
    return await _on_motionfit_error(request, BadParameter(details))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = f"{request.method} {request.url.path}: {phrase}. See /docs for what there is"
    code = phrase.lower().replace(" ", "-")
    request.state.problem = code  # for the access log
    return respond(
        other_problem(error.status_code, code=code, title=phrase, detail=detail), error.headers
    )


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_WENT_AWAY)
