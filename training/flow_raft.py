"""RAFT, torchvision's small one, as a method of flow: on the CPU, by one thread."""

import contextlib
import sys
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torchvision.models import get_weight  # type: ignore[import-untyped]
from torchvision.models.optical_flow import raft_small  # type: ignore[import-untyped]

from motionfit.training.checkpoint import CheckpointError
from motionfit.training.kinetics import BAD_FILE

WEIGHTS = get_weight("Raft_Small_Weights.C_T_V2")
_MULTIPLE = 8  # of which both sides must be

Picture = NDArray[np.uint8]
Flow = NDArray[np.float32]


def load_raft() -> Callable[[Picture, Picture], Flow]:
    """RAFT with the weights that torchvision publishes; they are kept in torch.hub's cache.

    Raises CheckpointError when they are neither there nor can be downloaded.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch.hub prints what it downloads
            state = WEIGHTS.get_state_dict(check_hash=True, map_location="cpu", weights_only=True)
        network = raft_small(weights=None)
        network.load_state_dict(state)
    except (*BAD_FILE, HTTPException) as error:
        cache = Path(torch.hub.get_dir(), "checkpoints")
        raise CheckpointError(
            f"RAFT's weights cannot be had ({str(error).partition(chr(10))[0]}): fetch "
            f"{WEIGHTS.url} by other means and put it into {cache}, or choose another method"
        ) from error
    return raft_function(network)


def raft_function(network: nn.Module) -> Callable[[Picture, Picture], Flow]:
    """A RAFT network as flow between two pictures (H, W, 3) uint8 RGB of at least 128 pixels."""
    network.eval()

    @torch.inference_mode()
    def compute(a: Picture, b: Picture) -> Flow:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # several processes share a machine
        try:
            flow = network(_input(a), _input(b))[-1][0]  # the last of its iterations
        finally:
            torch.set_num_threads(threads)
        return np.ascontiguousarray(flow[:, : a.shape[0], : a.shape[1]].permute(1, 2, 0).numpy())

    return compute


def _input(picture: Picture) -> torch.Tensor:
    """(1, 3, H', W') float32 from -1 to 1, the last row and column repeated up to a multiple."""
    height, width = picture.shape[:2]
    scaled = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    return functional.pad(scaled, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE), mode="replicate")
