"""Which of a bundle's ONNX files a runtime loads."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from motionfit.inference.bundle import LOWERED, MODEL, Bundle
from motionfit.inference.errors import BundleError
from motionfit.inference.runner import Runner
from motionfit.inference.runner_onnx import OnnxRunner
from motionfit.inference.runner_openvino import OpenVinoRunner
from tests.conftest import TOY_SPEC, write_toy_bundle
from tests.plans import name_in_manifest


@pytest.fixture
def both(tmp_path: Path) -> Bundle:
    """A bundle whose lowered file gives ten times what its plain one gives."""
    folder = write_toy_bundle(tmp_path / "toy")
    model = onnx.load(folder / MODEL)
    for node in model.graph.node:
        if node.op_type == "Mul":
            node.op_type = "Div"
    onnx.save(model, folder / LOWERED)
    name_in_manifest(folder, LOWERED)
    return Bundle.open(folder)


def brightness(runner: Runner) -> float:
    frames = np.ones((1, TOY_SPEC.num_frames, TOY_SPEC.crop, TOY_SPEC.crop, 3), np.uint8)
    return float(runner.run(frames).logits[0, 0])


def test_on_a_cpu_onnx_runtime_takes_the_lowered_file_and_openvino_the_plain_one(
    both: Bundle,
) -> None:
    assert brightness(OnnxRunner(both)) == pytest.approx(10)
    assert brightness(OpenVinoRunner(both)) == pytest.approx(0.1)


def test_a_bundle_without_a_lowered_file_runs_as_before(toy_bundle: Path) -> None:
    assert brightness(OnnxRunner(Bundle.open(toy_bundle))) == pytest.approx(0.1)


def test_a_file_that_is_named_is_the_one_that_runs(both: Bundle) -> None:
    assert brightness(OnnxRunner(both, file=MODEL)) == pytest.approx(0.1)
    assert brightness(OpenVinoRunner(both, file=LOWERED)) == pytest.approx(10)


@pytest.mark.parametrize("runner", [OnnxRunner, OpenVinoRunner])
def test_a_file_that_the_bundle_lacks_and_one_that_is_damaged_are_named(
    both: Bundle, runner: type[OnnxRunner] | type[OpenVinoRunner]
) -> None:
    with pytest.raises(BundleError, match=r"holds no model\.int8\.onnx"):
        runner(both, file="model.int8.onnx")
    (both.path / LOWERED).write_bytes((both.path / LOWERED).read_bytes()[:-40])
    with pytest.raises(BundleError, match=r"cannot load .*model\.lowered\.onnx"):
        runner(both, file=LOWERED)


@pytest.mark.parametrize("runner", [OnnxRunner, OpenVinoRunner])
def test_a_file_with_other_outputs_is_refused_by_its_name(
    both: Bundle, runner: type[OnnxRunner] | type[OpenVinoRunner]
) -> None:
    model = onnx.load(both.path / LOWERED)
    mul = next(node for node in model.graph.node if node.op_type == "Div")
    mul.output[0] = model.graph.output[0].name = "scores"
    identity = helper.make_node("Identity", ["scores"], ["embedding"])
    model.graph.node[-1].CopyFrom(identity)
    onnx.save(model, both.path / LOWERED)
    with pytest.raises(BundleError, match=r"model\.lowered\.onnx gives .* expected logits"):
        runner(both, file=LOWERED)
