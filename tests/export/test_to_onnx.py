import json
from collections import Counter
from pathlib import Path

import onnx
import pytest

from motionfit.export.pipeline import Export
from motionfit.export.to_onnx import OPSET, write_checked, write_onnx
from motionfit.inference.bundle import LOWERED, MODEL, WEIGHTS
from motionfit.inference.clip import ClipSpec
from motionfit.training.checkpoint import Checkpoint, load_checkpoint


@pytest.fixture(scope="module")
def model(export: Export) -> onnx.ModelProto:
    return onnx.load(export.bundle.file(MODEL))


def test_the_file_passes_the_checker_and_states_its_opset(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]


def test_uint8_clips_of_any_number_go_in_and_float32_comes_out(
    model: onnx.ModelProto, checkpoint: Checkpoint
) -> None:
    (frames,) = model.graph.input
    assert _signature(frames) == ("frames", onnx.TensorProto.UINT8, ["batch", 4, 32, 32, 3])
    assert [_signature(output) for output in model.graph.output] == [
        ("logits", onnx.TensorProto.FLOAT, ["batch", len(checkpoint.labels)]),
        ("embedding", onnx.TensorProto.FLOAT, ["batch", checkpoint.model.fc.in_features]),
    ]


def test_no_batch_norm_is_left_and_all_convolutions_are_there(model: onnx.ModelProto) -> None:
    operators = Counter(node.op_type for node in model.graph.node)
    assert operators["Conv"] == 37
    assert "BatchNormalization" not in operators


def test_spec_and_labels_travel_in_the_metadata(
    model: onnx.ModelProto, checkpoint: Checkpoint
) -> None:
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["motionfit.format"] == "1"
    assert ClipSpec.from_json(json.loads(metadata["motionfit.spec"])) == checkpoint.spec
    assert tuple(json.loads(metadata["motionfit.labels"])) == checkpoint.labels


def test_no_file_holds_paths_of_the_machine_that_made_it(export: Export) -> None:
    for name in (MODEL, LOWERED):
        content = export.bundle.file(name).read_bytes()
        assert b".py" not in content
        assert str(Path(__file__).parents[2]).encode() not in content
        assert str(export.bundle.path).encode() not in content


def test_the_same_weights_give_the_same_bytes(export: Export, tmp_path: Path) -> None:
    again = tmp_path / MODEL
    write_onnx(again, load_checkpoint(export.bundle.file(WEIGHTS)))
    assert again.read_bytes() == export.bundle.file(MODEL).read_bytes()


def test_a_file_that_is_no_valid_graph_is_not_written(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    broken.graph.node[0].input[0] = "nothing"
    with pytest.raises(onnx.checker.ValidationError):
        write_checked(tmp_path / MODEL, broken)
    assert list(tmp_path.iterdir()) == []


def _signature(value: onnx.ValueInfoProto) -> tuple[str, int, list[str | int]]:
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, [d.dim_param or d.dim_value for d in tensor.shape.dim]
