"""Networks small enough to build a plan of in a second: two convolutions on clips of 2 x 8 x 8."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from motionfit.inference.clip import ClipSpec

SPEC = ClipSpec(num_frames=2, frame_rate=10.0, short_side=9, crop=8)
LABELS = ("walk", "run", "jump", "wave")
DIM = 16


def write_network(path: Path, *, first: str = "float16", second: str = "float16") -> Path:
    """An ONNX file as export writes them, its convolutions in the types that are named."""
    path.write_bytes(network(first=first, second=second))
    return path


def network(*, first: str = "float16", second: str = "float16") -> bytes:
    """The bytes of such a file."""
    types = {"float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT}
    random = np.random.default_rng(0)

    def weights(name: str, shape: tuple[int, ...], dtype: str) -> onnx.TensorProto:
        values = random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        return numpy_helper.from_array(values.astype(dtype), name)

    def cast(source: str, result: str, dtype: int) -> onnx.NodeProto:
        return helper.make_node("Cast", [source], [result], to=dtype)

    nodes = [
        cast("frames", "real", TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["moved"], perm=[0, 4, 1, 2, 3]),
        helper.make_node("Mul", ["moved", "scale"], ["scaled"]),
        cast("scaled", "x", types[first]),
        helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[0, 1, 1, 0, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        cast("r1", "y", types[second]),
        helper.make_node("Conv", ["y", "w2"], ["c2"], pads=[1, 0, 0, 1, 0, 0]),
        helper.make_node("ReduceMean", ["c2", "axes"], ["mean"], keepdims=0),
        cast("mean", "embedding", TensorProto.FLOAT),
        helper.make_node("MatMul", ["mean", "classes"], ["scores"]),
        cast("scores", "logits", TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "two convolutions",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", 2, 8, 8, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIM]),
        ],
        [
            numpy_helper.from_array(np.float32(1 / 255), "scale"),
            numpy_helper.from_array(np.array([2, 3, 4], np.int64), "axes"),
            weights("w1", (8, 3, 1, 3, 3), first),
            weights("w2", (DIM, 8, 3, 1, 1), second),
            weights("classes", (DIM, len(LABELS)), second),
        ],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
