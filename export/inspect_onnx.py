"""What an ONNX file holds, read without loading its weights or running it."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from motionfit.inference.errors import BundleError


@dataclass(frozen=True, kw_only=True)
class OnnxTensor:
    """An input or output of a graph."""

    name: str
    dtype: str
    """As ONNX names it, such as ``UINT8``."""
    shape: tuple[int | str, ...]
    """Sizes; a name for one that may be any."""


@dataclass(frozen=True, kw_only=True)
class Convolutions:
    """Convolutions of one kind."""

    count: int
    dtype: str
    """Of the arithmetic, as the graph states it: FLOAT, FLOAT16, ..."""
    rank: int
    """2 or 3 dimensions, without batch and channels; 0 where the graph does not say."""


@dataclass(frozen=True, kw_only=True)
class OnnxFacts:
    """What an ONNX file holds."""

    opset: int
    ir_version: int
    producer: str
    inputs: tuple[OnnxTensor, ...]
    outputs: tuple[OnnxTensor, ...]
    convolutions: tuple[Convolutions, ...]
    """By type and rank; the most frequent kind first."""
    batch_norms: int
    """Left in the graph; none when all were folded."""
    nodes: int
    weights: dict[str, int]
    """Type of initialisers -> their number of values."""
    data_files: tuple[str, ...]
    """Other files that weights are read from."""
    metadata: dict[str, str]

    @property
    def lowered(self) -> bool:
        """Whether all convolutions are 2-D."""
        return bool(self.convolutions) and all(one.rank == 2 for one in self.convolutions)


def onnx_facts(path: Path) -> OnnxFacts:
    """Read an ONNX file. Raises BundleError when it is damaged, or is none."""
    model = _load(path)
    graph = model.graph
    # Files of every exporter keep float weights as initialisers; those in other files are not read.
    weights: Counter[str] = Counter()
    for tensor in graph.initializer:
        weights[_dtype(tensor.data_type)] += math.prod(tensor.dims)
    return OnnxFacts(
        opset=next(one.version for one in model.opset_import if one.domain in {"", "ai.onnx"}),
        ir_version=model.ir_version,
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        inputs=tuple(_tensor(value) for value in graph.input),
        outputs=tuple(_tensor(value) for value in graph.output),
        convolutions=_convolutions(model),
        batch_norms=sum(node.op_type == "BatchNormalization" for node in graph.node),
        nodes=len(graph.node),
        weights=dict(weights.most_common()),
        data_files=_data_files(path, graph),
        metadata={entry.key: entry.value for entry in model.metadata_props},
    )


def _load(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except DecodeError as error:
        raise BundleError(
            f"{path} is cut short, damaged, or neither an ONNX file nor a TensorRT plan: {error}; "
            "copy or export it again"
        ) from error
    # An empty file, and some others that are none, are read as an empty model.
    if not model.graph.node or not any(one.domain in {"", "ai.onnx"} for one in model.opset_import):
        raise BundleError(f"{path} holds no ONNX graph; copy or export it again")
    return model


def _convolutions(model: onnx.ModelProto) -> tuple[Convolutions, ...]:
    known = {
        tensor.name: (tensor.data_type, len(tensor.dims)) for tensor in model.graph.initializer
    }
    inferred = onnx.shape_inference.infer_shapes(model).graph
    for value in (*inferred.input, *inferred.value_info):
        tensor = value.type.tensor_type
        known.setdefault(value.name, (tensor.elem_type, len(tensor.shape.dim)))
    kinds: Counter[tuple[str, int]] = Counter()
    for node in model.graph.node:
        if node.op_type == "Conv":
            data_type, dimensions = known.get(node.input[1], (onnx.TensorProto.UNDEFINED, 0))
            kinds[_dtype(data_type), max(0, dimensions - 2)] += 1
    return tuple(
        Convolutions(count=count, dtype=dtype, rank=rank)
        for (dtype, rank), count in kinds.most_common()
    )


def _data_files(path: Path, graph: onnx.GraphProto) -> tuple[str, ...]:
    """The files, beside ``path``, that initialisers are read from."""
    names = {
        entry.value
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    if missing := sorted(name for name in names if not (path.parent / name).is_file()):
        raise BundleError(f"{path} reads weights from {missing[0]}, which is not beside it")
    return tuple(sorted(names))


def _tensor(value: onnx.ValueInfoProto) -> OnnxTensor:
    tensor = value.type.tensor_type
    shape = tuple(
        one.dim_value if one.HasField("dim_value") else one.dim_param or "any"
        for one in tensor.shape.dim
    )
    return OnnxTensor(name=value.name, dtype=_dtype(tensor.elem_type), shape=shape)


def _dtype(data_type: int) -> str:
    return str(onnx.TensorProto.DataType.Name(data_type))
