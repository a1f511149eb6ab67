"""Hand-made bundles: a small ONNX graph in place of a trained student."""

import hashlib
import json
from pathlib import Path

import onnx
from onnx import helper

from motionfit.inference.bundle import FORMAT, MANIFEST, MODEL
from motionfit.inference.clip import ClipSpec


def write_bundle(
    folder: Path, graph: onnx.GraphProto, *, name: str, spec: ClipSpec, labels: tuple[str, ...]
) -> Path:
    """Make ``folder``, which must not exist, a bundle that runs ``graph``."""
    folder.mkdir(parents=True)
    opset = [helper.make_opsetid("", 18)]
    content = helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    (folder / MODEL).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest = {
        "format": FORMAT,
        "name": name,
        "spec": spec.to_json(),
        "labels": list(labels),
        "files": {MODEL: entry},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder
