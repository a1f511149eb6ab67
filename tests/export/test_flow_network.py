"""A network of optical flow becomes ONNX as one of RGB does."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from motionfit.export.lower import write_lowered
from motionfit.export.to_onnx import write_onnx
from motionfit.inference.clip import ClipSpec
from motionfit.inference.runner_onnx import cpu_session
from motionfit.inference.runner_openvino import compiled
from motionfit.training.checkpoint import Checkpoint
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.model import FLOW, R2Plus1D, network_input


@pytest.fixture(scope="module")
def network(spec: ClipSpec) -> Checkpoint:
    torch.manual_seed(0)
    return Checkpoint(
        model=R2Plus1D(3, width=1 / 16, channels=FLOW).eval(),
        spec=spec,
        labels=("a", "b", "c"),
        width=1 / 16,
        training={},
        flow=FlowSpec(short_side=spec.short_side, num_frames=spec.num_frames),
    )


@pytest.fixture(scope="module")
def plain(network: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flow") / "model.onnx"
    write_onnx(path, network)
    return path


def test_plain_and_lowered_give_what_the_network_gives(network: Checkpoint, plain: Path) -> None:
    lowered = plain.with_name("lowered.onnx")
    write_lowered(lowered, plain=plain)
    clips = np.random.default_rng(0).uniform(-1, 1, (3, 4, 32, 32, 2)).astype(np.float32)
    with torch.inference_mode():
        expected, _ = network.model(network_input(torch.from_numpy(clips), spec=network.spec))
    answers = [
        cpu_session(plain, threads=1).run(["logits"], {"frames": clips})[0],
        cpu_session(lowered, threads=1).run(["logits"], {"frames": clips})[0],
        compiled(plain, threads=1)({"frames": clips})["logits"],
    ]
    for found in answers:
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_the_file_says_which_flow_it_takes(network: Checkpoint, plain: Path) -> None:
    properties = {one.key: one.value for one in onnx.load(plain).metadata_props}
    assert network.flow is not None
    assert json.loads(properties["motionfit.flow"]) == network.flow.to_json()
