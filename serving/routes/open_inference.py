"""The Open Inference Protocol v2 (KServe, Triton): the model itself, for clips made elsewhere."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from importlib.metadata import version as version_of
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from motionfit.inference.bundle import Bundle
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import MotionfitError
from motionfit.serving.edge.tensors import (
    JSON_LENGTH,
    MAX_BESIDE_BYTES,
    MAX_JSON_BYTES,
    Asked,
    BadTensor,
    read_request,
    write_response,
)
from motionfit.serving.errors import RequestError, UnsupportedMediaType, UploadTooLarge
from motionfit.serving.inference_schemas import (
    ErrorBody,
    InferRequest,
    InferResponse,
    LiveBody,
    ModelMetadata,
    ModelReadyBody,
    ReadyBody,
    ServerBody,
)
from motionfit.serving.problems import headers_of, problem_of
from motionfit.serving.settings import Settings
from motionfit.serving.work.ask import Ask
from motionfit.serving.work.deadline import Deadline
from motionfit.serving.work.disconnect import while_connected
from motionfit.serving.work.pipeline import Pipeline

_BINARY = {"schema": {"type": "string", "format": "binary"}}


class UnknownModel(RequestError):
    """The model or version that is asked for is not the one served."""

    code = "unknown-model"


# Beside the statuses that all routes share.
_STATUSES: Mapping[type[MotionfitError], int] = {BadTensor: 400, UnknownModel: 404}


def open_inference_routes(pipeline: Pipeline, settings: Settings) -> APIRouter:
    """The protocol's routes: health, metadata, and inference with JSON or binary tensors."""
    router = APIRouter(tags=["open inference protocol"], route_class=_ProtocolRoute)

    @router.get("/v2", summary="What speaks the protocol?")
    async def server() -> ServerBody:
        extensions = ("binary_tensor_data",)
        return ServerBody(name="motionfit", version=version_of("motionfit"), extensions=extensions)

    @router.get("/v2/health/live", summary="Is the server alive?")
    async def live() -> LiveBody:
        return LiveBody(live=True)

    @router.get("/v2/health/ready", summary="Would it answer?", responses=_errors(503))
    async def ready() -> ReadyBody:
        pipeline.require_ready()
        return ReadyBody(ready=True)

    async def any_version(name: str) -> Bundle:
        return _named(pipeline.engine.bundle, name=name)

    async def one_version(name: str, version: str) -> Bundle:
        return _named(pipeline.engine.bundle, name=name, version=version)

    path = "/v2/models/{name}"
    _add_model(router, path, any_version, pipeline=pipeline, settings=settings)
    _add_model(
        router, path + "/versions/{version}", one_version, pipeline=pipeline, settings=settings
    )
    return router


def _add_model(
    router: APIRouter,
    path: str,
    named: Callable[..., Coroutine[Any, Any, Bundle]],
    *,
    pipeline: Pipeline,
    settings: Settings,
) -> None:
    """Routes of the model that ``named`` finds from the path."""
    Named = Annotated[Bundle, Depends(named)]

    def max_bytes(spec: ClipSpec) -> int:
        tensor_bytes = settings.max_clips * spec.num_frames * spec.crop**2 * 3
        return max(tensor_bytes + MAX_BESIDE_BYTES, MAX_JSON_BYTES)

    @router.get(path, summary="What does the model take and give?", responses=_errors(404))
    async def metadata(bundle: Named) -> ModelMetadata:
        return ModelMetadata.of(bundle, backend=pipeline.engine.backend)

    @router.get(f"{path}/ready", summary="Would the model answer?", responses=_errors(404, 503))
    async def model_ready(bundle: Named) -> ModelReadyBody:
        pipeline.require_ready()
        return ModelReadyBody(name=bundle.name, ready=True)

    @router.post(
        f"{path}/infer",
        summary="Run the model",
        responses={
            200: {"model": InferResponse, "content": {"application/octet-stream": _BINARY}},
            **_errors(400, 404, 408, 413, 415, 503, 504),
        },
        openapi_extra={"requestBody": _request_body()},
    )
    async def infer(bundle: Named, request: Request) -> Response:
        started = time.perf_counter()
        pipeline.require_place(Ask(), deadline=Deadline.of(settings.deadline_seconds))
        body = await _receive(request, max_bytes=max_bytes(bundle.spec))
        received = time.perf_counter()

        def read(now: Bundle) -> Asked:  # perhaps not the one that was served when it began
            return read_request(
                body,
                json_length=request.headers.get(JSON_LENGTH),
                spec=_named(now, **request.path_params).spec,
                max_clips=settings.max_clips,
            )

        work = pipeline.infer(read, deadline=Deadline.of(settings.deadline_seconds))
        asked, output, engine = await while_connected(request.receive, work)
        request.state.timings_ms = {
            "receive": (received - started) * 1000,
            "total": (time.perf_counter() - started) * 1000,
        }
        content, json_length = await asyncio.to_thread(
            write_response,
            output,
            asked=asked,
            model_name=engine.bundle.name,
            model_version=engine.bundle.version,
        )
        if json_length is None:
            return Response(content, media_type="application/json")
        headers = {JSON_LENGTH: str(json_length)}
        return Response(content, headers=headers, media_type="application/octet-stream")


class _ProtocolRoute(APIRoute):
    """A route whose own refusals are of the protocol's form, with the statuses of all routes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_or_refuse(request: Request) -> Response:
            try:
                return await answer(request)
            except MotionfitError as error:
                status = _STATUSES.get(type(error)) or problem_of(error).status
                request.state.problem = error.code
                body = ErrorBody(error=str(error)).model_dump()
                return JSONResponse(body, status, headers=headers_of(error))

        return answer_or_refuse


def _named(bundle: Bundle, *, name: str, version: str | None = None) -> Bundle:
    """The bundle that is served. Raises UnknownModel when it is not the one that is named."""
    if name != bundle.name:
        raise UnknownModel(f"there is no model {name:.80}; {bundle.name} is served")
    if version not in (None, bundle.version):
        raise UnknownModel(
            f"there is no version {version:.80} of {name}; {bundle.version} is served"
        )
    return bundle


async def _receive(request: Request, *, max_bytes: int) -> bytes:
    if (encoding := request.headers.get("content-encoding", "identity")) != "identity":
        raise UnsupportedMediaType(
            f"the content encoding is {encoding!r}; only identity is read. Send it uncompressed"
        )
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise UploadTooLarge(
                f"the request has more than {max_bytes} bytes, which is more than the clips that "
                "are taken at once can have"
            )
    return bytes(body)


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorBody} for status in statuses}


def _request_body() -> dict[str, Any]:
    schema = InferRequest.model_json_schema()
    definitions = schema.pop("$defs")
    return {
        "required": True,
        "description": f"JSON; or JSON and then tensors as bytes, with {JSON_LENGTH}.",
        "content": {
            "application/json": {"schema": _inlined(schema, definitions)},
            "application/octet-stream": _BINARY,
        },
    }


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    """A JSON schema without references: where it goes, they would lead elsewhere."""
    if isinstance(node, dict):
        if "$ref" in node:
            return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
        return {name: _inlined(value, definitions) for name, value in node.items()}
    if isinstance(node, list):
        return [_inlined(value, definitions) for value in node]
    return node
