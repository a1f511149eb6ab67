"""torchvision's R(2+1)D-18, trained on Kinetics-400: its tensors are the student's at width 1."""

import contextlib
import pickle
import sys
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models import get_weight  # type: ignore[import-untyped]

from motionfit.training.checkpoint import CheckpointError
from motionfit.training.model import R2Plus1D

WEIGHTS = get_weight("R2Plus1D_18_Weights.KINETICS400_V1")
LABELS = tuple(str(label) for label in WEIGHTS.meta["categories"])
WIDTH = 1.0
HEAD = "fc.weight"

BAD_FILE = (OSError, RuntimeError, EOFError, pickle.UnpicklingError)


def downloaded() -> R2Plus1D:
    """The network with the weights that torchvision publishes; they are kept in torch.hub's cache.

    Raises CheckpointError when they are neither there nor can be downloaded.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch.hub prints what it downloads
            state = WEIGHTS.get_state_dict(check_hash=True, map_location="cpu", weights_only=True)
    except (*BAD_FILE, HTTPException) as error:
        cache = Path(torch.hub.get_dir(), "checkpoints")
        raise CheckpointError(
            f"torchvision's Kinetics weights cannot be had ({_first_line(error)}): fetch "
            f"{WEIGHTS.url} by other means and start from the path of that file, "
            f"or put it into {cache}"
        ) from error
    return _network(state, source=Path(WEIGHTS.url).name)


def read(path: Path) -> R2Plus1D:
    """The network with the weights of a .pth file: a state_dict of torchvision's r2plus1d_18.

    Raises CheckpointError when it is no such file. Nothing but tensors is unpickled.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except BAD_FILE as error:
        raise CheckpointError(f"{path} is not a file of weights: {_first_line(error)}") from error
    return _network(state, source=str(path))


def _network(state: Any, *, source: str) -> R2Plus1D:
    head = state.get(HEAD) if isinstance(state, Mapping) else None
    if not isinstance(head, Tensor) or head.ndim != 2:
        raise CheckpointError(
            f"{source} has no tensor {HEAD}: give the state_dict of torchvision's r2plus1d_18"
        )
    model = R2Plus1D(len(head), width=WIDTH)
    _check_tensors(state, model.state_dict(), source=source)
    # Not strict: files older than num_batches_tracked do without it.
    model.load_state_dict(state, strict=False)
    return model


def _check_tensors(
    state: Mapping[str, Any], expected: Mapping[str, Tensor], *, source: str
) -> None:
    needed = {name for name in expected if not name.endswith(".num_batches_tracked")}
    wrong = {
        "lacks": sorted(needed - set(state)),
        "has besides": sorted(set(state) - set(expected)),
        "has of another shape": [
            f"{name} {_shape(state[name])} instead of {_shape(expected[name])}"
            for name in expected
            if name in state and _shape(state[name]) != _shape(expected[name])
        ],
    }
    for what, names in wrong.items():
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(
                f"{source} is not torchvision's r2plus1d_18: it {what} {', '.join(names[:3])}{more}"
            )


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
