"""The network in half precision: folded in FP32, then rounded.

Clips are normalised, and features averaged and classified, in FP32, which costs nothing; all
convolutions between are FP16.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torchvision.models.video.resnet import BasicBlock  # type: ignore[import-untyped]

from motionfit.export.batches import Frames, in_batches, torch_run
from motionfit.export.fold import folded
from motionfit.export.parity import distance
from motionfit.export.to_onnx import write_checked
from motionfit.inference.bundle import sidecar
from motionfit.inference.errors import VerificationError
from motionfit.training.checkpoint import Checkpoint
from motionfit.training.model import R2Plus1D
from motionfit.training.whole_files import written_whole

LARGEST = 65504.0  # the largest float16
NOTE = (
    "On their CPUs, ONNX Runtime and OpenVINO compute this graph in FP32: that they agree with "
    "the student proves the rounding of the weights, not arithmetic in half precision."
)


@dataclass(frozen=True, kw_only=True)
class HalfRecord:
    """What is known of a half-precision file; its sidecar."""

    clips: int
    """How many real clips the activations were measured on."""
    activations: dict[str, float]
    """Layer -> the largest absolute value, in FP32, that it gave for any clip; in order."""
    logits_difference: float
    """Largest difference of a logit when, in PyTorch, weights and the result of every layer are
    rounded to float16 and sums are kept in FP32, as tensor cores do; as a share of the largest
    absolute logit in FP32."""
    embedding_difference: float
    """The same of the embedding."""

    def to_json(self) -> dict[str, Any]:
        """The sidecar: the fields, and what they mean."""
        return {
            "precision": "float16",
            "input": "uint8",
            "output": "float32",
            "float32": ["normalisation", "average pooling", "classifier"],
            "largest_float16": LARGEST,
            **asdict(self),
            "note": NOTE,
        }


def write_half(path: Path, checkpoint: Checkpoint, *, plain: Path, clips: Frames) -> HalfRecord:
    """Write ``plain``, which ``write_onnx`` made of ``checkpoint``, in half precision to ``path``.

    ``clips`` (N, T, S, S, 3) uint8, at least one, are real ones, on which activations are
    measured. A sidecar, ``path`` with ".json" added, holds the record that is returned.
    Raises VerificationError, and writes nothing, when float16 cannot hold an activation or weight.
    """
    record = measured(checkpoint, clips=clips)
    write_checked(path, in_half(onnx.load(plain)))
    with written_whole(path.with_name(sidecar(path.name))) as unfinished:
        unfinished.write_text(json.dumps(record.to_json(), indent=2) + "\n", encoding="utf-8")
    return record


def in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` whose convolutions, and all between the first and the last, are FP16.

    Raises VerificationError when a weight is too large for float16.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    nodes: list[NodeProto] = []
    convolutions = [node for node in result.graph.node if node.op_type == "Conv"]
    for node in result.graph.node:
        if node == convolutions[0]:
            nodes.append(_cast_before(node, TensorProto.FLOAT16))
        if node.op_type == "ReduceMean":
            nodes.append(_cast_before(node, TensorProto.FLOAT))
        nodes.append(node)
    weights = {name for node in convolutions for name in node.input[1:]}
    for constant in result.graph.initializer:
        if constant.name in weights:
            constant.CopyFrom(_rounded(constant))
    graph = helper.make_graph(
        nodes,
        result.graph.name,
        result.graph.input,
        result.graph.output,
        result.graph.initializer,
    )
    result.graph.CopyFrom(graph)
    return result


def measured(checkpoint: Checkpoint, *, clips: Frames) -> HalfRecord:
    """What half precision does to the checkpoint's network on real clips.

    Raises VerificationError when a layer gives what float16 cannot hold.
    """
    single, half = (cast(R2Plus1D, folded(checkpoint.model)) for _ in range(2))
    activations: dict[str, float] = {}

    def record(layer: str, values: Tensor) -> Tensor:
        found = float(values.abs().max())
        if not found < LARGEST:  # true for NaN as well
            raise _overflow(layer, found)
        activations[layer] = max(found, activations.get(layer, 0.0))
        return values

    _after_each_layer(single, record)
    for module in half.modules():
        if isinstance(module, nn.Conv3d):
            for parameter in module.parameters():
                parameter.data = parameter.data.half().float()
    _after_each_layer(half, _as_half)
    exact, rounded = (
        in_batches(torch_run(one, spec=checkpoint.spec), clips) for one in (single, half)
    )
    apart = distance(rounded, exact)
    return HalfRecord(
        clips=len(clips),
        activations=activations,
        logits_difference=apart.logits.share,
        embedding_difference=apart.embedding.share,
    )


def _after_each_layer(model: R2Plus1D, function: Callable[[str, Tensor], Tensor]) -> None:
    """Let ``function`` see, and replace, the input and what each convolution and addition gives."""
    model.register_forward_pre_hook(lambda _, args: (function("normalised clip", args[0]),))
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_hook(lambda _, __, out, name=name: function(name, out))
        elif isinstance(module, BasicBlock):
            # The sum of a block is seen where it enters the block's last activation.
            module.relu.register_forward_pre_hook(
                lambda _, args, name=name: (function(f"{name} sum", args[0]),)
            )


def _as_half(layer: str, values: Tensor) -> Tensor:
    rounded = values.half().float()
    if not torch.isfinite(rounded).all():
        raise _overflow(layer, float(values.abs().max()))
    return rounded


def _overflow(layer: str, found: float) -> VerificationError:
    return VerificationError(
        f"in half precision {layer} overflows: it gives {found:.3g} on the clips, float16 holds up "
        f"to {LARGEST:g}; export without --fp16, or train with more weight decay"
    )


def _cast_before(node: NodeProto, kind: int) -> NodeProto:
    """A cast of the node's first input, which the node takes from now on."""
    name = node.input[0]
    node.input[0] = f"{name}.{'half' if kind == TensorProto.FLOAT16 else 'single'}"
    return helper.make_node("Cast", [name], [node.input[0]], name=node.input[0], to=kind)


def _rounded(constant: TensorProto) -> TensorProto:
    values = numpy_helper.to_array(constant)
    if not (np.abs(values) <= LARGEST).all():
        raise VerificationError(
            f"the folded weight {constant.name} goes up to {np.abs(values).max():.3g}, float16 "
            f"holds up to {LARGEST:g}; export without --fp16, or train with more weight decay"
        )
    return numpy_helper.from_array(values.astype(np.float16), constant.name)
