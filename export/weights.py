"""student.safetensors: a checkpoint whose weights take half the space.

Tensors of two or more dimensions (the weights of convolutions and of the classifier, nearly all of
a model) are stored as float16, the rest (biases, batch-norm statistics) as float32. The exported
ONNX is made from the weights as they are read back, so both files hold the same network.
"""

import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from motionfit.inference.errors import VerificationError
from motionfit.training.checkpoint import Checkpoint, load_student, save_checkpoint


def store_weights(path: Path, checkpoint: Checkpoint) -> Checkpoint:
    """Write the checkpoint's weights, rounded, to ``path``; return it as read back, in float32.

    Raises VerificationError when a weight is too large for float16, or not finite.
    """
    model = copy.deepcopy(checkpoint.model)
    for name, parameter in model.named_parameters():
        _round(name, parameter)
    save_checkpoint(path, replace(checkpoint, model=model))
    return load_student(path)


def _round(name: str, parameter: nn.Parameter) -> None:
    if parameter.ndim >= 2:
        parameter.data = parameter.data.half()
    if not torch.isfinite(parameter.data).all():
        limit = torch.finfo(parameter.dtype).max
        raise VerificationError(
            f"the weight {name} has values that are not finite, or larger than {limit:g}, what "
            f"{str(parameter.dtype).removeprefix('torch.')} can hold; train with weight decay"
        )
