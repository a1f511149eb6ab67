"""Tensors in requests and answers of the Open Inference Protocol v2: as JSON, or as bytes after it.

In the binary form a body is JSON followed by the tensors' bytes, little-endian and row-major, and a
header says how long the JSON is (the protocol's extension ``binary_tensor_data``).
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from motionfit.inference.clip import ClipSpec
from motionfit.inference.runner import Output
from motionfit.inference.tensors import EMBEDDING, INPUT, LOGITS, check_frames
from motionfit.serving.errors import RequestError
from motionfit.serving.inference_schemas import (
    AskedOutput,
    InferRequest,
    InferResponse,
    InputTensor,
    OutputTensor,
    Parameters,
)

JSON_LENGTH = "Inference-Header-Content-Length"
OUTPUTS = (LOGITS, EMBEDDING)
MAX_JSON_BYTES = 8 * 1024**2
MAX_BESIDE_BYTES = 64 * 1024
"""Most bytes of JSON beside a tensor's values."""
_PIECE_BYTES = 64 * 1024
_LENGTH = re.compile(r"[0-9]{1,12}")
_DATA = re.compile(rb'"data"\s*:\s*\[')
_LONGEST_TIMEOUT = 10**15  # a float holds it
_NO_BRACKETS = bytes.maketrans(b"[]", b"  ")


class BadTensor(RequestError):
    """A request for inference that is not of the protocol's form, or not of the model's."""

    code = "bad-tensor"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request for inference asks, checked."""

    id: str | None
    frames: NDArray[np.uint8]
    """(N, T, S, S, 3) uint8"""
    outputs: Mapping[str, bool]
    """Name -> whether as bytes after the JSON."""
    timeout_seconds: float | None


def read_request(body: bytes, *, json_length: str | None, spec: ClipSpec, max_clips: int) -> Asked:
    """The request that ``body`` is; ``json_length`` is its header of that meaning.

    This takes a while for large bodies. Raises BadTensor.
    """
    split = _split_at(json_length, body)
    text, values = _take_values(body[:split])
    if len(text) > MAX_BESIDE_BYTES:
        raise BadTensor(
            f"the JSON beside the integers of one tensor has {len(text)} bytes; at most "
            f"{MAX_BESIDE_BYTES} are read"
        )
    try:
        request = InferRequest.model_validate_json(text)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in wrong["loc"])
        raise BadTensor(f"the JSON is not a request: {where}: {wrong['msg']}") from error
    return Asked(
        id=request.id,
        frames=_frames(request.inputs, values, body[split:], spec=spec, max_clips=max_clips),
        outputs=_outputs(request),
        timeout_seconds=_timeout_seconds(request.parameters),
    )


def write_response(
    output: Output, *, asked: Asked, model_name: str, model_version: str
) -> tuple[bytes, int | None]:
    """The body of the answer, and the length of its JSON where tensors follow as bytes."""
    tensors, following = [], []
    for name, as_bytes in asked.outputs.items():
        array = {LOGITS: output.logits, EMBEDDING: output.embedding}[name]
        raw = array.astype("<f4").tobytes() if as_bytes else None
        tensors.append(
            OutputTensor(
                name=name,
                datatype="FP32",
                shape=array.shape,
                parameters=None if raw is None else {"binary_data_size": len(raw)},
                data=array.ravel().tolist() if raw is None else None,
            )
        )
        following.append(raw or b"")
    response = InferResponse(
        model_name=model_name, model_version=model_version, id=asked.id, outputs=tuple(tensors)
    )
    # Not pydantic's JSON: it writes a number that is none as null.
    text = json.dumps(response.model_dump(exclude_none=True), allow_nan=False).encode()
    return text + b"".join(following), len(text) if any(asked.outputs.values()) else None


def _split_at(json_length: str | None, body: bytes) -> int:
    if json_length is None:
        split = len(body)
    elif not _LENGTH.fullmatch(json_length) or int(json_length) > len(body):
        raise BadTensor(
            f"{JSON_LENGTH} must be the length of the JSON, at most the body's {len(body)} bytes; "
            f"got {json_length:.40}"
        )
    else:
        split = int(json_length)
    if split > MAX_JSON_BYTES:
        raise BadTensor(
            f"the JSON has {split} bytes; at most {MAX_JSON_BYTES} are read. Send the tensor as "
            "binary data"
        )
    return split


def _take_values(text: bytes) -> tuple[bytes, bytes | None]:
    """A request without the integers of its first tensor that has any, and these integers' text.

    Parsed as JSON, millions of numbers would hold up all of the server for up to a second: Python
    runs nothing else meanwhile.
    """
    for opening in _DATA.finditer(text):
        start = opening.end()
        end = _find(text, b"}", start, _find(text, b'"', start, len(text)))
        stop = text.rfind(b"]", start, end)
        if stop >= 0:
            return text[:start] + text[stop:], text[start:stop]
    return text, None


def _find(text: bytes, what: bytes, start: int, end: int) -> int:
    found = text.find(what, start, end)
    return found if found >= 0 else end


def _frames(
    inputs: tuple[InputTensor, ...],
    values: bytes | None,
    following: bytes,
    *,
    spec: ClipSpec,
    max_clips: int,
) -> NDArray[np.uint8]:
    if [tensor.name for tensor in inputs] != [INPUT]:
        names = ", ".join(tensor.name[:40] for tensor in inputs) or "none"
        raise BadTensor(f"the model takes one input, {INPUT!r}; got {names}")
    (tensor,) = inputs
    if tensor.datatype != "UINT8":
        raise BadTensor(f"{INPUT} must be of datatype UINT8, got {tensor.datatype:.20}")
    if not 0 < math.prod(tensor.shape[:1]) <= max_clips:
        raise BadTensor(
            f"from 1 to {max_clips} clips are taken at once, got the shape {list(tensor.shape)}"
        )
    flat = _flat(tensor, values, following)
    if math.prod(tensor.shape) != flat.size:
        raise BadTensor(f"{INPUT} has {flat.size} values for the shape {list(tensor.shape)}")
    frames = flat.reshape(tensor.shape)
    try:
        check_frames(frames, spec=spec)
    except ValueError as error:
        raise BadTensor(str(error)) from error
    return frames


def _flat(tensor: InputTensor, values: bytes | None, following: bytes) -> NDArray[np.uint8]:
    size = tensor.parameters.get("binary_data_size")
    if size is None and tensor.data is not None and not following:
        return _integers(b"" if tensor.data or values is None else values)
    if size is not None and tensor.data is None and size == len(following):
        return np.frombuffer(following, np.uint8)
    raise BadTensor(
        f"{INPUT} must either have data, or a parameter binary_data_size that is the number of "
        f"bytes after the JSON; got {'data' if tensor.data is not None else 'no data'}, "
        f"binary_data_size {size!r:.20}, {len(following)} bytes"
    )


def _integers(text: bytes) -> NDArray[np.uint8]:
    """The numbers of a flat or nested list, a piece at a time for other threads' sake."""
    text = text.translate(_NO_BRACKETS)
    found = bytearray()
    at = 0
    try:
        while at <= len(text):
            end = _find(text, b",", at + _PIECE_BYTES, len(text))
            found += bytes(map(int, text[at:end].split(b",")))
            at = end + 1
    except ValueError as error:
        raise BadTensor(
            f"the data of {INPUT} must be integers from 0 to 255, flat or nested evenly"
        ) from error
    return np.frombuffer(found, np.uint8)


def _outputs(request: InferRequest) -> dict[str, bool]:
    binary = request.parameters.get("binary_data_output", False)
    asked = request.outputs or tuple(AskedOutput(name=name) for name in OUTPUTS)
    for output in asked:
        if output.name not in OUTPUTS:
            raise BadTensor(f"there is no output {output.name:.40}; there are {', '.join(OUTPUTS)}")
        if unknown := {"classification", "shared_memory_region"} & set(output.parameters):
            raise BadTensor(f"{output.name}: the parameter {unknown.pop()} is not supported")
    return {o.name: bool(o.parameters.get("binary_data", binary)) for o in asked}


def _timeout_seconds(parameters: Parameters) -> float | None:
    """The parameter ``timeout``, which counts microseconds; 0 is none, as in Triton."""
    microseconds = parameters.get("timeout")
    if not microseconds:
        return None
    if isinstance(microseconds, bool) or not isinstance(microseconds, int) or microseconds < 0:
        raise BadTensor(f"timeout must be a number of microseconds, got {microseconds!r:.40}")
    return min(microseconds, _LONGEST_TIMEOUT) / 1e6
