"""Plans as far as anything but TensorRT can tell: the first bytes, and the sidecar."""

import json
from dataclasses import replace
from pathlib import Path

from motionfit.inference.bundle import MANIFEST, sha256_of, sidecar
from motionfit.inference.cuda_driver import Gpu
from motionfit.inference.plan import PlanRecord, PlanTensor, Profile
from motionfit.inference.plan_library import PlanKind

RTX_4090 = Gpu(name="NVIDIA GeForce RTX 4090", compute_capability="8.9", memory_bytes=24 * 1024**3)
RECORD = PlanRecord(
    kind=PlanKind.TENSORRT,
    version="10.13.3.9",
    precision="float16",
    layers={"convolution": {"HALF": 37}},
    engine_layers={"convolution": {"HALF": 37}},
    gpu=RTX_4090,
    compute_capabilities=(),
    profile=Profile(min=1, opt=4, max=16),
    inputs=(PlanTensor(name="frames", dtype="UINT8", shape=(None, 4, 32, 32, 3)),),
    outputs=(PlanTensor(name="logits", dtype="FLOAT", shape=(None, 5)),),
    onnx_sha256="0" * 64,
    plan_sha256="",
)


def plan_bytes(kind: PlanKind, *, version: str) -> bytes:
    """A plan of 100 bytes that says who built it."""
    tag = b"vtrt" if kind is PlanKind.RTX else b"ftrt"
    numbers = bytes(int(part) for part in version.split("."))
    start = tag + bytes(12) + (100).to_bytes(8, "little") + numbers
    return start + bytes(100 - len(start))


def write_plan_like(path: Path, record: PlanRecord = RECORD) -> Path:
    """A plan that no library can load, and its sidecar."""
    path.write_bytes(plan_bytes(record.kind, version=record.version))
    record = replace(record, plan_sha256=sha256_of(path))
    path.with_name(sidecar(path.name)).write_text(json.dumps(record.to_json()))
    return path


def name_in_manifest(bundle: Path, *names: str) -> None:
    """Make files that lie in a bundle's folder files of the bundle."""
    manifest = json.loads((bundle / MANIFEST).read_text())
    for name in names:
        path = bundle / name
        manifest["files"][name] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    (bundle / MANIFEST).write_text(json.dumps(manifest))
