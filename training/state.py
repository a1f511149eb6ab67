"""What a stopped run goes on from: one safetensors file, exact to the bit.

Besides weights and optimizer state it holds the step and the sums of the epoch under way. There is
no state of random generators to keep: every random number of a step is keyed by (seed, epoch,
sample).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer

from motionfit.training.checkpoint import CheckpointError, write_tensors

STATE = "state.safetensors"
FORMAT = "1"


@dataclass(frozen=True, kw_only=True)
class State:
    """A moment of a training run, between two steps."""

    tensors: dict[str, dict[str, Tensor]]
    """Tensors by name, by what they belong to: ``model``, ``optimizer``, ..."""
    values: dict[str, Any]
    """JSON values."""


def save_state(path: Path, state: State) -> None:
    """Write ``state`` to the file ``path``, which is replaced only when the new one is complete."""
    flat = {
        f"{owner}/{name}": tensor.detach().cpu().contiguous()
        for owner, tensors in state.tensors.items()
        for name, tensor in tensors.items()
    }
    write_tensors(flat, path, {"format": FORMAT, "values": json.dumps(state.values)})


def load_state(path: Path) -> State:
    """Read what ``save_state`` wrote. Raises CheckpointError when it is damaged."""
    tensors: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
            for key in opened.keys():  # noqa: SIM118
                owner, _, name = key.partition("/")
                tensors.setdefault(owner, {})[name] = opened.get_tensor(key)
        if metadata.get("format") != FORMAT:
            raise ValueError(f"format is {metadata.get('format')!r}, expected {FORMAT!r}")
        return State(tensors=tensors, values=json.loads(metadata["values"]))
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be resumed from: {error}") from error


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The per-parameter state of an optimizer, ``<number of the parameter>/<name>``."""
    return {
        f"{number}/{name}": torch.as_tensor(value)
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
        if value is not None
    }


def load_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give a new optimizer on the same parameters the state that ``optimizer_tensors`` took."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = _laid_out_like(parameters[int(number)], tensor)
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """``tensor`` with the parameter's strides: on other strides sums round differently."""
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, device="cpu", requires_grad=False).copy_(tensor)
