"""bundle.json of an export."""

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motionfit.export.clips import RealClips
from motionfit.export.parity import Parity
from motionfit.export.to_onnx import OPSET
from motionfit.inference.bundle import (
    FORMAT,
    FP16,
    LOWERED,
    MANIFEST,
    MODEL,
    PLAN,
    RTX_PLAN,
    WEIGHTS,
    loaded_files,
    sha256_of,
)
from motionfit.inference.versions import installed_versions
from motionfit.training.checkpoint import Checkpoint

ARCHITECTURE = "r2plus1d_18"
LIBRARIES = (
    "motionfit",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxscript",
    "openvino",
    "tensorrt",
    "tensorrt-rtx",
    "torch",
    "torchvision",
)


# As verified: FP16 files by their own sidecars, plans by the types of their layers.
PRECISION = {
    MODEL: "float32",
    LOWERED: "float32",
    FP16: "float16; clips are normalised and outputs given in float32",
    PLAN: "float16; clips are normalised and outputs given in float32",
    RTX_PLAN: "float16; clips are normalised and outputs given in float32",
    WEIGHTS: "float16 for tensors of two or more dimensions, float32 for the rest",
}


def name_of(checkpoint: Checkpoint, *, name: str | None) -> str:
    """The model's name: the one given, or one made of architecture, width and number of classes."""
    return name or f"{ARCHITECTURE}-w{checkpoint.width:g}-{len(checkpoint.labels)}classes"


def describe(folder: Path, *, checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    """The manifest of the bundle files in ``folder``; parity is not known yet."""
    files = sorted(path.name for path in folder.iterdir())
    return {
        "format": FORMAT,
        "name": name,
        "spec": checkpoint.spec.to_json(),
        "labels": list(checkpoint.labels),
        "files": {file: _file(folder / file) for file in files},
        "runs": loaded_files(files),
        "architecture": {
            "name": ARCHITECTURE,
            "width": checkpoint.width,
            "parameters": sum(part.numel() for part in checkpoint.model.parameters()),
            "embedding_dim": checkpoint.model.fc.in_features,
            "opset": OPSET,
        },
        "precision": {file: PRECISION[file] for file in files if file in PRECISION},
        "training": checkpoint.training,
        "libraries": {"python": platform.python_version(), **installed_versions(LIBRARIES)},
    }


def parity_record(results: Sequence[Parity], *, clips: RealClips) -> dict[str, Any]:
    """What was verified, on which clips."""
    return {
        "clips": {"count": len(clips.frames), "source": clips.source, "sha256": clips.sha256},
        "results": [result.to_json() for result in results],
    }


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write bundle.json."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _file(path: Path) -> dict[str, Any]:
    return {"sha256": sha256_of(path), "bytes": path.stat().st_size}
