"""Bundles that answer like the colour bundle under other names, and some that must not serve."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from motionfit.inference.bundle import LOWERED, MANIFEST, MODEL
from tests.serving.conftest import LABELS, SPEC
from tests.toy_bundles import write_bundle

OTHER_LABELS = ("bleu", "rouge", "vert")
"""What the other bundle calls blue, red and green, in its own order."""
OTHER_NAMES = dict(zip(LABELS, ("rouge", "vert", "bleu"), strict=True))


def write_colours(folder: Path) -> Path:
    """The bundle of conftest: its logits are the mean red, green and blue."""
    return write_bundle(folder, mean_graph(), name="colours", spec=SPEC, labels=LABELS)


def write_other_colours(folder: Path) -> Path:
    """Another model: its classes come in another order and have other names."""
    graph = mean_graph(order=(2, 0, 1), scale=0.2)
    return write_bundle(folder, graph, name="couleurs", spec=SPEC, labels=OTHER_LABELS)


def mean_graph(
    *, order: tuple[int, int, int] = (0, 1, 2), scale: float = 0.1, crop: int = SPEC.crop
) -> onnx.GraphProto:
    """A graph whose logits are the mean of each channel, in some order and times ``scale``."""
    shape = ["N", SPEC.num_frames, crop, crop, 3]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("order", TensorProto.INT64, [3], order),
        helper.make_tensor("scale", TensorProto.FLOAT, [1], np.array([scale], np.float32)),
    ]
    return helper.make_graph(
        [
            helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
            helper.make_node("Gather", ["means", "order"], ["embedding"], axis=1),
            helper.make_node("Mul", ["embedding", "scale"], ["logits"]),
        ],
        "means",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3])
            for name in ("logits", "embedding")
        ],
        constants,
    )


def with_lowered_form(folder: Path, *, scale: float) -> Path:
    """The colour bundle with a second file, which ONNX Runtime takes; right with a scale of 0.1."""
    write_colours(folder)
    model = helper.make_model(
        mean_graph(scale=scale), opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    )
    content = model.SerializeToString()
    (folder / LOWERED).write_bytes(content)
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest["files"][LOWERED] = entry
    path.write_text(json.dumps(manifest))
    return folder


def with_a_byte_more(folder: Path) -> Path:
    """A bundle whose model was changed after it was hashed."""
    with (write_other_colours(folder) / MODEL).open("ab") as file:
        file.write(b"\n")
    return folder


def without_its_model(folder: Path) -> Path:
    """A bundle whose model is missing."""
    (write_other_colours(folder) / MODEL).unlink()
    return folder


def of_no_numbers(folder: Path) -> Path:
    """A bundle whose model says NaN of every clip."""
    graph = mean_graph(scale=float("nan"))
    return write_bundle(folder, graph, name="nothing", spec=SPEC, labels=LABELS)


def of_another_shape(folder: Path) -> Path:
    """A bundle whose model takes smaller pictures than its manifest says."""
    graph = mean_graph(crop=SPEC.crop // 2)
    return write_bundle(folder, graph, name="small", spec=SPEC, labels=LABELS)


def of_too_many_labels(folder: Path) -> Path:
    """A bundle with a label more than its model has logits."""
    labels = (*LABELS, "black")
    return write_bundle(folder, mean_graph(), name="four", spec=SPEC, labels=labels)


def without_format(folder: Path) -> Path:
    """A bundle whose manifest says nothing of its format."""
    path = write_other_colours(folder) / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["format"]
    path.write_text(json.dumps(manifest))
    return folder


def that_fails(folder: Path) -> Path:
    """A bundle whose model loads and cannot be run: it looks for a fifth channel."""
    graph = mean_graph(order=(0, 1, 4))
    return write_bundle(folder, graph, name="failing", spec=SPEC, labels=LABELS)


BROKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "bad hash": (with_a_byte_more, "sha256"),
    "missing file": (without_its_model, MODEL),
    "NaN": (of_no_numbers, "not finite"),
    "other input shape": (of_another_shape, "expected"),
    "too many labels": (of_too_many_labels, "4 labels"),
    "no format": (without_format, MANIFEST),
    "fails": (that_fails, "Gather"),
}
"""What is wrong -> how to write such a bundle, and a part of what the refusal says."""
