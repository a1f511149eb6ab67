"""A checkpoint's network as one ONNX file that takes clips as they are before any preparation."""

import json
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from motionfit.export.fold import folded
from motionfit.inference.clip import ClipSpec
from motionfit.inference.tensors import EMBEDDING, INPUT, LOGITS
from motionfit.training.checkpoint import Checkpoint
from motionfit.training.model import FLOW, RGB, network_input
from motionfit.training.whole_files import written_whole

# The opset that PyTorch's exporter writes without converting, and old enough for every runtime
# that is meant to read the file: ONNX Runtime, OpenVINO, TensorRT from 10.13.
OPSET = 18
FORMAT = "1"
BATCH = "batch"  # the name of the first dimension
EXAMPLE_BATCH = 2  # a batch of 1 would be taken for a constant


class Served(nn.Module):
    """The network with a clip's last preparations in front, as it is exported."""

    def __init__(self, model: nn.Module, *, spec: ClipSpec) -> None:
        super().__init__()
        self.model = model
        self.spec = spec

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) and embedding (N, D), float32, of frames (N, T, S, S, 3) uint8, or of
        optical flow (N, T, S, S, 2) float32 in units of its bound.
        """
        logits, embedding = self.model(network_input(frames, spec=self.spec))
        return logits, embedding


def write_onnx(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint's network, batch-norms folded, to the file ``path``, about 4 bytes a
    parameter.

    The graph takes ``frames`` (N, T, S, S, 3) uint8, any N, and gives ``logits`` and ``embedding``
    float32. Its metadata holds ``motionfit.format``, ``motionfit.spec`` and ``motionfit.labels``
    (JSON). The same checkpoint gives the same bytes.

    A network of optical flow takes ``frames`` (N, T, S, S, 2) float32 in units of the bound, which
    only benchmarks run; its metadata holds ``motionfit.flow`` too.
    """
    spec = checkpoint.spec
    served = Served(folded(checkpoint.model), spec=spec).eval()
    model = _export(served, _example(checkpoint))
    _strip(model)
    properties = {
        "motionfit.format": FORMAT,
        "motionfit.spec": json.dumps(spec.to_json()),
        "motionfit.labels": json.dumps(checkpoint.labels),
    }
    if checkpoint.flow is not None:
        properties["motionfit.flow"] = json.dumps(checkpoint.flow.to_json())
    onnx.helper.set_model_props(model, properties)
    write_checked(path, model)


def write_checked(path: Path, model: onnx.ModelProto) -> None:
    """Write a graph to the file ``path``, which appears only when ONNX's checker accepts it."""
    with written_whole(path) as unfinished:
        unfinished.write_bytes(model.SerializeToString(deterministic=True))
        onnx.checker.check_model(unfinished, full_check=True)


def _example(checkpoint: Checkpoint) -> Tensor:
    spec = checkpoint.spec
    channels, dtype = (RGB, torch.uint8) if checkpoint.flow is None else (FLOW, torch.float32)
    shape = (EXAMPLE_BATCH, spec.num_frames, spec.crop, spec.crop, channels)
    return torch.zeros(shape, dtype=dtype)


def _export(served: Served, example: Tensor) -> onnx.ModelProto:
    with warnings.catch_warnings():
        # What PyTorch deprecates inside its own exporter is nothing that a user could act on.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            served,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[LOGITS, EMBEDDING],
            dynamic_shapes={"frames": {0: torch.export.Dim(BATCH, min=1)}},
        )
    assert program is not None
    return program.model_proto


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about its own work: 150 kB, with paths of this machine."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]  # shapes inside the graph: every reader infers them
