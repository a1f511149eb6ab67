"""ONNX files that are a little wrong."""

from pathlib import Path

import onnx
from onnx import numpy_helper


def perturb_classifier(path: Path) -> None:
    """Make the weights of one class in the file ``path`` a hundredth larger, and nothing else."""
    content = path.read_bytes()
    model = onnx.load_model_from_string(content)
    weight = next(one for one in model.graph.initializer if one.name == "model.fc.weight")
    values = numpy_helper.to_array(weight).copy()
    values[2] *= 1.01
    path.write_bytes(content.replace(weight.raw_data, values.tobytes()))
