"""A trained student on disk: one safetensors file that also says how its clips are made.

A run folder holds

    checkpoint.safetensors   the weights, float32; metadata: format, spec, labels, width, training,
                             and of a network that takes optical flow also flow
    clips.safetensors        frames uint8 (N, T, S, S, 3) and labels int64 (N,), -1 for unknown:
                             real clips, on which an export is verified
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import MotionfitError
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.model import FLOW, RGB, R2Plus1D
from motionfit.training.whole_files import written_whole

FORMAT = "1"
CHECKPOINT = "checkpoint.safetensors"
CLIPS = "clips.safetensors"


class CheckpointError(MotionfitError):
    """A checkpoint is missing, damaged, or of a format that is not understood."""

    code = "bad-checkpoint"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A student and everything needed to use it and to say where it came from."""

    model: R2Plus1D
    spec: ClipSpec
    labels: tuple[str, ...]
    width: float
    """The width multiplier of ``model``."""
    training: dict[str, Any]
    """The training record, JSON values: recipe, data, figures, versions."""
    flow: FlowSpec | None = None
    """How the optical flow that ``model`` takes is computed; None for a model of RGB."""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` to the file ``path``, which appears only when it is complete."""
    state = checkpoint.model.state_dict()
    metadata = {
        "format": FORMAT,
        "spec": json.dumps(checkpoint.spec.to_json()),
        "labels": json.dumps(checkpoint.labels),
        "width": repr(checkpoint.width),
        "training": json.dumps(checkpoint.training),
    }
    if checkpoint.flow is not None:
        metadata["flow"] = json.dumps(checkpoint.flow.to_json())
    tensors = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
    write_tensors(tensors, path, metadata)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint from a file or a run folder. The model is float32, in eval mode.

    Raises CheckpointError when there is none or its content does not fit together.
    """
    file = checkpoint_file(path)
    if not file.is_file():
        raise CheckpointError(
            f"{path} holds no checkpoint: give a run folder with a finished {CHECKPOINT}, "
            "or the file itself"
        )
    try:
        return _read(file)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(
            f"{file} is not a checkpoint that this version of motionfit reads: {reason}; "
            "give one that motionfit-train wrote"
        ) from error


def checkpoint_file(path: Path) -> Path:
    """The checkpoint of a run folder, or the file itself."""
    return path / CHECKPOINT if path.is_dir() else path


def load_student(path: Path) -> Checkpoint:
    """As ``load_checkpoint``, but refuses a network that takes optical flow."""
    checkpoint = load_checkpoint(path)
    if checkpoint.flow is not None:
        raise CheckpointError(
            f"{path} holds a network that takes optical flow, which only training computes: it "
            "makes pseudo-labels and is measured by motionfit-train two-stream; give an RGB student"
        )
    return checkpoint


def save_clips(path: Path, *, frames: torch.Tensor, labels: torch.Tensor) -> None:
    """Write clips (N, T, S, S, 3) uint8 and class indices (N,) int64 to the file ``path``."""
    tensors = {"frames": frames.contiguous(), "labels": labels.contiguous()}
    write_tensors(tensors, path, {"format": FORMAT})


def write_tensors(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file, which appears under its name only when it is complete."""
    with written_whole(path) as unfinished:
        unfinished.write_bytes(save(tensors, metadata))


def _read(file: Path) -> Checkpoint:
    with safe_open(file, framework="pt") as opened:
        metadata: Mapping[str, str] = opened.metadata() or {}
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if metadata.get("format") != FORMAT:
        raise ValueError(f"format is {metadata.get('format')!r}, expected {FORMAT!r}")
    labels = tuple(str(label) for label in json.loads(metadata["labels"]))
    width = float(metadata["width"])
    flow = FlowSpec.from_json(json.loads(metadata["flow"])) if "flow" in metadata else None
    model = R2Plus1D(len(labels), width=width, channels=RGB if flow is None else FLOW)
    model.load_state_dict(state)
    return Checkpoint(
        model=model.eval(),
        spec=ClipSpec.from_json(json.loads(metadata["spec"])),
        labels=labels,
        width=width,
        training=json.loads(metadata["training"]),
        flow=flow,
    )
