import os
import platform
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from onnx import TensorProto, helper, numpy_helper

from motionfit.export.lower import lowered, write_lowered
from motionfit.export.pipeline import Export
from motionfit.inference.bundle import LOWERED, MODEL
from motionfit.inference.errors import VerificationError
from motionfit.inference.tensors import Output


@pytest.fixture(scope="module")
def plain(export: Export) -> onnx.ModelProto:
    return onnx.load(export.bundle.file(MODEL))


@pytest.fixture(scope="module")
def in_two_dimensions(export: Export) -> onnx.ModelProto:
    return onnx.load(export.bundle.file(LOWERED))


def run(model: onnx.ModelProto | str, *, count: int = 3) -> Output:
    content = model if isinstance(model, str) else model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape[1:]
    frames = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    return Output(*session.run(["logits", "embedding"], {"frames": frames}))


def close(found: Output, expected: Output) -> None:
    for values, reference in zip(found, expected, strict=True):
        scale = np.abs(reference).max()
        np.testing.assert_allclose(values / scale, reference / scale, atol=1e-5)


def test_every_convolution_has_two_dimensions(in_two_dimensions: onnx.ModelProto) -> None:
    sizes = {one.name: list(one.dims) for one in in_two_dimensions.graph.initializer}
    convolutions = [node for node in in_two_dimensions.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 37
    for node in convolutions:
        assert len(sizes[node.input[1].removesuffix(".wide")]) == 4
        assert len(helper.get_node_attr_value(node, "kernel_shape")) == 2


def test_it_takes_gives_and_says_what_the_plain_one_does(
    plain: onnx.ModelProto, in_two_dimensions: onnx.ModelProto
) -> None:
    for part in ("input", "output"):
        assert list(getattr(in_two_dimensions.graph, part)) == list(getattr(plain.graph, part))
    assert list(in_two_dimensions.metadata_props) == list(plain.metadata_props)
    assert list(in_two_dimensions.opset_import) == list(plain.opset_import)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_outputs_are_those_of_the_plain_one(
    plain: onnx.ModelProto, in_two_dimensions: onnx.ModelProto, count: int
) -> None:
    close(run(in_two_dimensions, count=count), run(plain, count=count))


def test_the_large_weights_are_those_inside_the_plain_file(export: Export) -> None:
    model = onnx.load(export.bundle.file(LOWERED), load_external_data=False)
    content = export.bundle.file(MODEL).read_bytes()
    plain = {
        one.name: one.raw_data for one in onnx.load(export.bundle.file(MODEL)).graph.initializer
    }
    outside = [one for one in model.graph.initializer if one.data_location == TensorProto.EXTERNAL]
    assert outside
    for one in outside:
        place = {entry.key: entry.value for entry in one.external_data}
        assert place["location"] == MODEL
        start = int(place["offset"])
        assert content[start : start + int(place["length"])] == plain[one.name]


def test_the_embedded_student_is_lowered_into_a_fiftieth_of_its_size(
    embedded_bundle: Path, tmp_path: Path
) -> None:
    plain, path = tmp_path / MODEL, tmp_path / LOWERED
    plain.write_bytes((embedded_bundle / MODEL).read_bytes())
    write_lowered(path, plain=plain)
    assert path.stat().st_size * 50 < plain.stat().st_size
    close(run(str(path)), run(str(plain)))
    again = path.read_bytes()
    write_lowered(path, plain=plain)
    assert path.read_bytes() == again
    assert sorted(os.listdir(tmp_path)) == [LOWERED, MODEL]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the blocks of channels are of x86")
def test_onnx_runtime_merges_all_additions_and_nearly_all_transposes(
    embedded_bundle: Path, tmp_path: Path
) -> None:
    model = lowered(onnx.load(embedded_bundle / MODEL))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns that what it writes is for this machine only
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert found["Conv"] == 37
    # That of the colours, and that after the first convolution, whose 12 channels are no block.
    assert found["Transpose"] <= 2
    assert "Add" not in found
    assert "Pad" not in found


def test_convolutions_without_a_bias_are_lowered_too(plain: onnx.ModelProto) -> None:
    bare = onnx.ModelProto()
    bare.CopyFrom(plain)
    for node in bare.graph.node:
        if node.op_type == "Conv":
            del node.input[2:]
    used = {name for node in bare.graph.node for name in node.input}
    kept = [one for one in bare.graph.initializer if one.name in used]
    del bare.graph.initializer[:]
    bare.graph.initializer.extend(kept)
    close(run(lowered(bare)), run(bare))


def test_the_plain_network_is_left_as_it_is(plain: onnx.ModelProto) -> None:
    before = plain.SerializeToString(deterministic=True)
    lowered(plain)
    assert plain.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [3, 3, 3], "pads": [1] * 6},
        {"kernel_shape": [1, 3, 3], "pads": [0, 1, 1, 0, 1, 1], "dilations": [1, 2, 2]},
        {"kernel_shape": [1, 3, 3], "pads": [0, 0, 0, 0, 2, 2]},
        {"kernel_shape": [1, 3, 3], "pads": [0, 1, 1, 0, 1, 1], "strides": [2, 1, 1]},
    ],
)
def test_a_convolution_that_is_not_of_these_kinds_is_named(
    attributes: dict[str, list[int]],
) -> None:
    usual = {"strides": [1, 1, 1], "dilations": [1, 1, 1], "group": 1}
    kernel = np.zeros((4, 3, *attributes["kernel_shape"]), np.float32)
    nodes = [
        helper.make_node("Cast", ["frames"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["clips"], perm=[0, 4, 1, 2, 3]),
        helper.make_node("Conv", ["clips", "kernel"], ["odd"], **{**usual, **attributes}),
    ]
    graph = helper.make_graph(
        nodes,
        "odd",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", 4, 8, 8, 3])],
        [helper.make_tensor_value_info("odd", TensorProto.FLOAT, ["batch", 4, None, None, None])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    with pytest.raises(VerificationError, match="convolution odd .* cannot be lowered"):
        lowered(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))


def test_it_must_lie_beside_the_plain_file(export: Export, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="whose weights it refers to"):
        write_lowered(tmp_path / LOWERED, plain=export.bundle.file(MODEL))
