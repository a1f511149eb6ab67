import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from motionfit.export.clips import clips_of_run
from motionfit.export.fold import folded
from motionfit.export.half import HalfRecord, in_half, measured, write_half
from motionfit.export.parity import HALF
from motionfit.export.pipeline import Export
from motionfit.inference.bundle import FP16, MODEL, sidecar
from motionfit.inference.errors import VerificationError
from motionfit.training.checkpoint import Checkpoint
from motionfit.training.model import R2Plus1D, normalised

Frames = NDArray[np.uint8]


@pytest.fixture(scope="module")
def frames(run_folder: Path, checkpoint: Checkpoint) -> Frames:
    return clips_of_run(run_folder, spec=checkpoint.spec).frames[:4]


@pytest.fixture(scope="module")
def plain(export: Export) -> Path:
    return export.bundle.file(MODEL)


@pytest.fixture(scope="module")
def written(
    checkpoint: Checkpoint, plain: Path, frames: Frames, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, HalfRecord]:
    path = tmp_path_factory.mktemp("half") / FP16
    return path, write_half(path, checkpoint, plain=plain, clips=frames)


def changed(checkpoint: Checkpoint, *, layer: int, factor: float) -> Checkpoint:
    """A checkpoint whose stage ``layer`` gives values ``factor`` times as large."""
    model = R2Plus1D(len(checkpoint.labels), width=checkpoint.width)
    model.load_state_dict(checkpoint.model.state_dict())
    with torch.no_grad():
        model.get_submodule(f"layer{layer}.0.conv2.1").weight.mul_(factor)
    return replace(checkpoint, model=model.eval())


def test_all_convolutions_are_half_and_what_is_around_them_is_not(
    written: tuple[Path, HalfRecord], plain: Path
) -> None:
    model = onnx.load(written[0])
    kinds = {one.name: one.data_type for one in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert Counter(kinds[name] for node in convolutions for name in node.input[1:]) == {
        TensorProto.FLOAT16: 2 * 37
    }
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert {one.type.tensor_type.elem_type for one in model.graph.output} == {TensorProto.FLOAT}
    assert list(model.metadata_props) == list(onnx.load(plain).metadata_props)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, check_type=True).graph
    types = {one.name: one.type.tensor_type.elem_type for one in inferred.value_info}
    for node in model.graph.node:
        if node.op_type in ("Relu", "Add", "Conv"):
            assert types[node.output[0]] == TensorProto.FLOAT16
        if node.op_type in ("Div", "Sub", "ReduceMean"):
            assert types[node.output[0]] == TensorProto.FLOAT


def test_weights_are_those_folded_in_single_precision_and_then_rounded(
    written: tuple[Path, HalfRecord], plain: Path
) -> None:
    rounded = {one.name: one for one in onnx.load(written[0]).graph.initializer}
    for one in onnx.load(plain).graph.initializer:
        expected = numpy_helper.to_array(one)
        found = numpy_helper.to_array(rounded[one.name])
        np.testing.assert_array_equal(found, expected.astype(found.dtype))


def test_the_sidecar_says_what_was_measured_and_what_agreement_on_a_cpu_proves(
    written: tuple[Path, HalfRecord], frames: Frames
) -> None:
    path, record = written
    stored = json.loads(path.with_name(sidecar(path.name)).read_text())
    assert stored == record.to_json()
    assert stored["clips"] == len(frames)
    assert "compute this graph in FP32" in stored["note"]
    assert 0 < stored["logits_difference"] < HALF.difference


def test_the_largest_activation_of_each_layer_is_that_of_the_network_in_single_precision(
    written: tuple[Path, HalfRecord], checkpoint: Checkpoint, frames: Frames
) -> None:
    activations = written[1].activations
    assert len(activations) == 1 + 37 + 8  # the clip, convolutions, sums of blocks
    assert list(activations)[:2] == ["normalised clip", "stem.0"]
    values = normalised(torch.from_numpy(frames), spec=checkpoint.spec)
    with torch.inference_mode():
        stem = cast(R2Plus1D, folded(checkpoint.model)).stem[0](values)
    assert activations["normalised clip"] == pytest.approx(float(values.abs().max()))
    assert activations["stem.0"] == pytest.approx(float(stem.abs().max()), rel=1e-5)


def test_true_half_precision_is_finite_and_as_far_off_as_the_sidecar_says(
    written: tuple[Path, HalfRecord], checkpoint: Checkpoint, frames: Frames
) -> None:
    model = cast(R2Plus1D, folded(checkpoint.model))
    values = normalised(torch.from_numpy(frames), spec=checkpoint.spec)
    with torch.inference_mode():
        expected, _ = model(values)
        model.half()
        features = model.layer4(model.layer3(model.layer2(model.layer1(model.stem(values.half())))))
        assert features.dtype == torch.float16
        assert torch.isfinite(features).all()
        found = model.fc.float()(model.avgpool(features.float()).flatten(1))
    difference = float((found - expected).abs().max() / expected.abs().max())
    assert 0 < difference < HALF.difference
    assert difference < 4 * written[1].logits_difference
    assert written[1].logits_difference < 4 * difference
    assert torch.equal(found.argmax(1), expected.argmax(1))


@pytest.mark.parametrize("factor", [1e6, float("nan"), float("inf")])
def test_an_activation_that_overflows_is_refused_by_the_name_of_its_layer(
    checkpoint: Checkpoint, plain: Path, frames: Frames, tmp_path: Path, factor: float
) -> None:
    wrong = changed(checkpoint, layer=3, factor=factor)
    with pytest.raises(VerificationError, match=r"layer3\.0\.conv2\.0\.3 overflows: .* 65504"):
        write_half(tmp_path / FP16, wrong, plain=plain, clips=frames)
    assert list(tmp_path.iterdir()) == []


def test_an_activation_that_only_just_fits_is_taken(checkpoint: Checkpoint, frames: Frames) -> None:
    once = measured(checkpoint, clips=frames).activations["layer3.0.conv2.0.3"]
    record = measured(changed(checkpoint, layer=3, factor=3e4 / once), clips=frames)
    assert 1e4 < record.activations["layer3.0.conv2.0.3"] < 65504


def test_a_folded_weight_that_overflows_is_refused_by_its_name(plain: Path) -> None:
    model = onnx.load(plain)
    weight = next(one for one in model.graph.initializer if "layer2" in one.name)
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] = 7e4
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    with pytest.raises(VerificationError, match=rf"weight {weight.name} goes up to 7e\+04"):
        in_half(model)
