"""The JSON of the Open Inference Protocol v2, as far as one model for clips needs it."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from motionfit.inference.bundle import Bundle
from motionfit.inference.tensors import EMBEDDING, INPUT, LOGITS

Parameters = Mapping[str, bool | int | float | str | None]


class _Schema(BaseModel):
    # The protocol has extensions: what is not known here is let through, as in other servers.
    model_config = ConfigDict(extra="ignore", frozen=True)


class ErrorBody(_Schema):
    """Why there is no answer."""

    error: str


class ServerBody(_Schema):
    """What speaks the protocol."""

    name: str
    version: str
    extensions: tuple[str, ...]


class LiveBody(_Schema):
    """That the server is there."""

    live: bool


class ReadyBody(_Schema):
    """That it would answer."""

    ready: bool


class ModelReadyBody(_Schema):
    """That the model would answer."""

    name: str
    ready: bool


class TensorBody(_Schema):
    """A tensor that the model takes or gives; -1 is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelMetadata(_Schema):
    """The model, as a client must know it."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorBody, ...]
    outputs: tuple[TensorBody, ...]

    @classmethod
    def of(cls, bundle: Bundle, *, backend: str) -> Self:
        """The metadata of an opened bundle that runs on ``backend``."""
        spec = bundle.spec
        runtime = backend.partition("/")[0]
        width = bundle.manifest.get("architecture", {}).get("embedding_dim", -1)
        frames = (-1, spec.num_frames, spec.crop, spec.crop, 3)
        return cls(
            name=bundle.name,
            versions=(bundle.version,),
            platform="tensorrt_plan" if runtime.startswith("tensorrt") else f"{runtime}_onnx",
            inputs=(TensorBody(name=INPUT, datatype="UINT8", shape=frames),),
            outputs=(
                TensorBody(name=LOGITS, datatype="FP32", shape=(-1, len(bundle.labels))),
                TensorBody(name=EMBEDDING, datatype="FP32", shape=(-1, width)),
            ),
        )


class InputTensor(_Schema):
    """A tensor that a client sends."""

    name: str
    shape: tuple[Annotated[int, Field(ge=0, le=2**31)], ...] = Field(max_length=8)
    datatype: str
    parameters: Parameters = Field(default_factory=dict)
    data: list[Any] | None = Field(
        None, description="Flat or nested, row-major; left out where the bytes follow the JSON."
    )


class AskedOutput(_Schema):
    """A tensor that a client wants."""

    name: str
    parameters: Parameters = Field(default_factory=dict)


class InferRequest(_Schema):
    """What a client asks of the model."""

    id: str | None = None
    parameters: Parameters = Field(default_factory=dict)
    inputs: tuple[InputTensor, ...] = Field(max_length=16)
    outputs: tuple[AskedOutput, ...] | None = Field(None, max_length=16)


class OutputTensor(_Schema):
    """A tensor of the answer."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Parameters | None = None
    data: list[float] | None = None


class InferResponse(_Schema):
    """The model's answer."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: tuple[OutputTensor, ...]
