"""The same network in 2-D convolutions, which ONNX Runtime computes faster on a CPU.

R(2+1)D has no real 3-D convolution: one of (1, k, k) is a 2-D convolution of each picture by
itself, one of (k, 1, 1) a (k, 1) convolution over (T, H x W), and the (1, 1, 1) of a shortcut a
1 x 1 convolution of what its stride leaves. OpenVINO's own 3-D convolutions do not need this.

The weights are the same bytes in both forms, so the lowered file holds none of the large ones: it
refers to those inside the plain file, as ONNX's external data.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from motionfit.export.to_onnx import BATCH, write_checked
from motionfit.inference.errors import VerificationError

EXTERNAL_BYTES = 8192  # smaller ones, biases for one, are copied

# ONNX Runtime keeps channels in blocks of 16, and reorders a tensor whose channels are last to and
# from that in one pass, but only multiples of 4 of them. The middle of a factorised convolution is
# 45, 230 or 921 channels wide; a few zeros more make it a multiple and cost nothing in the blocks.
CHANNELS = 4

TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


def write_lowered(path: Path, *, plain: Path) -> None:
    """Write the lowered form of the ONNX file ``plain``, which ``write_onnx`` made, to ``path``.

    ``path`` is beside ``plain`` and needs it: the two are moved together. Takes and gives what
    ``plain`` does. The same ``plain`` gives the same bytes. Raises VerificationError for a graph
    that is not made of the convolutions of R(2+1)D.
    """
    if path.parent.resolve() != plain.parent.resolve():
        raise ValueError(f"{path} must be in the folder of {plain}, whose weights it refers to")
    content = plain.read_bytes()
    model = lowered(onnx.load_model_from_string(content))
    _refer(model.graph.initializer, content=content, location=plain.name)
    write_checked(path, model)


def lowered(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network of ``model`` in 2-D convolutions, with its metadata and all of its weights."""
    rewriting = _Rewriting(model)
    for node in model.graph.node:
        rewriting.take(node)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(rewriting.nodes)
    graph.initializer.extend(rewriting.constants())
    graph.value_info.extend(rewriting.infos)
    return result


class _Layout(Enum):
    """How a tensor of clips lies in memory: as (N * T, C, H, W), or as (N, C, T, H * W)."""

    PICTURES = "pictures"
    TIME = "time"


@dataclass(frozen=True, kw_only=True)
class _Clips:
    """A tensor of N clips."""

    channels: int
    frames: int
    height: int
    width: int
    layout: _Layout


@dataclass(frozen=True, kw_only=True)
class _Convolution:
    """A 3-D convolution: over (T, H, W)."""

    kernel: Sequence[int]
    stride: Sequence[int]
    pads: Sequence[int]  # before; as many after

    @property
    def within_pictures(self) -> bool:
        """Whether each picture is convolved by itself."""
        return (self.kernel[0], self.stride[0], self.pads[0]) == (1, 1, 0)

    @property
    def along_time(self) -> bool:
        """Whether each place in the picture is convolved by itself."""
        return [*self.kernel[1:], *self.stride[1:], *self.pads[1:]] == [1, 1, 1, 1, 0, 0]

    @property
    def of_points(self) -> bool:
        """Whether it only mixes channels, at the places that its stride leaves."""
        return [*self.kernel, *self.pads] == [1, 1, 1, 0, 0, 0]

    def flattened(self) -> dict[str, list[int]]:
        """The attributes of the 2-D convolution over (H, W), or over (T, H * W)."""
        if self.within_pictures:
            kernel, stride, pads = self.kernel[1:], self.stride[1:], self.pads[1:]
        elif self.along_time:
            kernel, stride, pads = [self.kernel[0], 1], [self.stride[0], 1], [self.pads[0], 0]
        else:
            kernel, stride, pads = [1, 1], [1, 1], [0, 0]
        return {"kernel_shape": [*kernel], "strides": [*stride], "pads": [*pads, *pads]}


def _convolution(node: NodeProto) -> _Convolution:
    found = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    pads = found["pads"]
    result = _Convolution(kernel=found["kernel_shape"], stride=found["strides"], pads=pads[:3])
    usual = (pads[3:], found["dilations"], found["group"]) == (pads[:3], [1, 1, 1], 1)
    if not usual or not (result.within_pictures or result.along_time or result.of_points):
        raise VerificationError(
            f"the convolution {node.output[0]} with a kernel of {tuple(result.kernel)} cannot be "
            "lowered: those of (1, k, k), (k, 1, 1) and (1, 1, 1) can, not grouped, not dilated"
        )
    return result


class _Rewriting:
    """The nodes of the lowered graph, made in the order of the plain one's."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
        values = (*graph.input, *graph.value_info, *graph.output)
        self._sizes = {value.name: _sizes(value) for value in values}
        self._constants = {one.name: one for one in graph.initializer}
        self._names: dict[str, str] = {}  # in the plain graph -> in this one, where they differ
        self._clips: dict[str, _Clips] = {}
        self.nodes: list[NodeProto] = []
        self.infos: list[onnx.ValueInfoProto] = []

    def take(self, node: NodeProto) -> None:
        """Add what computes the same as ``node``."""
        inputs = [self._names.get(name, name) for name in node.input]
        match node.op_type:
            case "Cast":  # the input; TensorRT-RTX takes bytes into nothing else
                self._copy(node, inputs)
                self._names[node.output[0]] = self._colours_first(node.output[0])
            case "Transpose":  # of colours, which is done; of flow, which is prepared before
                done = inputs[0] in self._clips
                self._names[node.output[0]] = inputs[0] if done else self._colours_first(inputs[0])
            case "Conv":
                self._convolve(node, inputs)
            case "ReduceMean" if inputs[0] in self._clips:
                self._copy(node, [self._unfolded(inputs[0]), *inputs[1:]])
            case _:
                self._copy(node, inputs)
                self._follow(node, inputs)

    def constants(self) -> list[TensorProto]:
        """Weights and constants of the nodes, in the order of the nodes."""
        used = dict.fromkeys(name for node in self.nodes for name in node.input)
        return [self._constants[name] for name in used if name in self._constants]

    def _colours_first(self, pixels: str) -> str:
        """``pixels``, of the size of the input, as pictures."""
        frames, height, width, channels = self._sizes[pixels]
        clips = _Clips(
            channels=channels, frames=frames, height=height, width=width, layout=_Layout.PICTURES
        )
        last = self._reshape(pixels, [height, width, channels], "pictures.last", of=clips)
        self._clips["pictures"] = clips
        return self._add("Transpose", [last], "pictures", perm=TO_FIRST)

    def _follow(self, node: NodeProto, inputs: Sequence[str]) -> None:
        """Note that a node that treats every value alike leaves the layout as it is."""
        if (clips := self._clips.get(inputs[0])) is None:
            return  # after the last convolution
        self._clips[node.output[0]] = clips
        for constant in self._constants.keys() & set(inputs):
            if len(self._constants[constant].dims) == 1:  # a value for each colour
                self._constants[constant].dims[:] = [clips.channels, 1, 1]

    def _convolve(self, node: NodeProto, inputs: Sequence[str]) -> None:
        one, name = _convolution(node), node.output[0]
        channels, frames, height, width = self._sizes[name]
        layout = _Layout.PICTURES if one.within_pictures else _Layout.TIME
        if one.within_pictures:
            channels = -(-channels // CHANNELS) * CHANNELS
        source = self._as(inputs[0], layout)
        if not (one.within_pictures or one.along_time):
            source = self._strided(source, stride=one.stride, name=name)
        weight, *bias = inputs[1:]
        out_and_in = self._constants[weight].dims[:2]
        flat = one.flattened()
        self._constants[weight].dims[:] = [*out_and_in, *flat["kernel_shape"]]
        more = [channels - out_and_in[0], self._clips[source].channels - out_and_in[1], 0, 0]
        weights = [self._widened(weight, more), *(self._widened(b, more[:1]) for b in bias)]
        self._add("Conv", [source, *weights], name, **flat)
        self._clips[name] = _Clips(
            channels=channels, frames=frames, height=height, width=width, layout=layout
        )

    def _as(self, name: str, layout: _Layout) -> str:
        """``name`` in a layout; with the channels last, the two layouts are the same bytes."""
        clips, result = self._clips[name], f"{name}.{layout.value}"
        if clips.layout is layout:
            return name
        if result not in self._clips:
            last = self._add("Transpose", [name], f"{result}.last", perm=TO_LAST)
            moved = replace(clips, layout=layout)
            sizes = [*_flat_sizes(moved), clips.channels]
            same = self._reshape(last, sizes, f"{result}.same", of=moved)
            self._clips[self._add("Transpose", [same], result, perm=TO_FIRST)] = moved
        return result

    def _unfolded(self, name: str) -> str:
        """``name`` as (N, C, T, H, W)."""
        source = self._as(name, _Layout.TIME)
        clips = self._clips[source]
        sizes = [clips.channels, clips.frames, clips.height, clips.width]
        return self._reshape(source, sizes, f"{name}.clips", of=clips)

    def _strided(self, source: str, *, stride: Sequence[int], name: str) -> str:
        """What a stride leaves of ``source``, as the input of the convolution ``name``."""
        _, frames, height, width = self._sizes[name]
        left = replace(self._clips[source], frames=frames, height=height, width=width)
        bounds = ([0, 0, 0], [np.iinfo(np.int64).max] * 3, [2, 3, 4], [*stride])
        slices = [self._integers(values) for values in bounds]
        strided = self._add("Slice", [self._unfolded(source), *slices], f"{name}.strided")
        result = self._reshape(
            strided, [left.channels, *_flat_sizes(left)], f"{name}.input", of=left
        )
        self._clips[result] = left
        return result

    def _widened(self, name: str, more: Sequence[int]) -> str:
        """The constant ``name`` with ``more`` zeros at the end of each dimension."""
        if not any(more):
            return name
        pads = self._integers([*[0] * len(more), *more])
        return self._add("Pad", [name, pads], f"{name}.wide")

    def _reshape(self, name: str, sizes: Sequence[int], result: str, *, of: _Clips) -> str:
        """``name`` as pictures or clips of ``sizes``.

        The graph gives the number of them a name, because ONNX Runtime merges an addition into the
        convolution before it only where it knows that the shapes are equal.
        """
        count = f"pictures of {of.frames}" if of.layout is _Layout.PICTURES else BATCH
        self.infos.append(helper.make_tensor_value_info(result, TensorProto.FLOAT, [count, *sizes]))
        return self._add("Reshape", [name, self._integers([-1, *sizes])], result)

    def _integers(self, values: Sequence[int]) -> str:
        name = f"integers {' '.join(map(str, values))}"
        self._constants[name] = numpy_helper.from_array(np.array(values, np.int64), name)
        return name

    def _add(self, operator: str, inputs: Sequence[str], result: str, **attributes: Any) -> str:
        self.nodes.append(
            helper.make_node(operator, [*inputs], [result], name=result, **attributes)
        )
        return result

    def _copy(self, node: NodeProto, inputs: Sequence[str]) -> None:
        copied = NodeProto()
        copied.CopyFrom(node)
        copied.input[:] = inputs
        self.nodes.append(copied)


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    """Of a tensor, without its first dimension, which is the number of clips."""
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim][1:]


def _flat_sizes(clips: _Clips) -> list[int]:
    """The two dimensions that a 2-D convolution moves over."""
    if clips.layout is _Layout.PICTURES:
        return [clips.height, clips.width]
    return [clips.frames, clips.height * clips.width]


def _refer(constants: Iterable[TensorProto], *, content: bytes, location: str) -> None:
    """Replace the bytes of large constants by their place in the file ``location``."""
    for constant in constants:
        size = len(constant.raw_data)
        if size < EXTERNAL_BYTES:
            continue
        place = content.index(constant.raw_data)
        constant.ClearField("raw_data")
        constant.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", place), ("length", size)):
            constant.external_data.add(key=key, value=str(value))
