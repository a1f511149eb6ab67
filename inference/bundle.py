"""The bundle: a folder that holds everything needed to recognise clips, moved as one.

``bundle.json`` names every other file with its sha256. Opening a bundle checks them all; nothing
in a bundle is ever unpickled or executed.
"""

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BundleError, SpecError

FORMAT = 1
MANIFEST = "bundle.json"
MODEL = "model.onnx"  # FP32, 3-D convolutions
LOWERED = "model.lowered.onnx"  # the same network in 2-D convolutions, for ONNX Runtime on CPUs
FP16 = "model.fp16.onnx"
PLAN = "model.plan"  # TensorRT, bare, as Triton and trtexec load it
RTX_PLAN = "model.rtx.plan"  # TensorRT-RTX
WEIGHTS = "student.safetensors"

# Runtime and device -> the files that it may load, the fastest first (benchmarks/results, engines).
_LOADED = {
    "onnxruntime/cpu": (LOWERED, MODEL),
    "onnxruntime/cuda": (MODEL,),
    "openvino/cpu": (MODEL,),
    "tensorrt/cuda": (PLAN,),
    "tensorrt-rtx/cuda": (RTX_PLAN,),
}


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """An opened bundle, its hashes verified."""

    path: Path
    name: str
    spec: ClipSpec
    labels: tuple[str, ...]
    files: Mapping[str, str]
    """File name -> sha256, lower-case hexadecimal."""
    manifest: Mapping[str, Any]
    """All of bundle.json: also architecture, parity figures, library versions, training record."""

    @property
    def version(self) -> str:
        """The first twelve digits of the model's sha256: what an answer names as its version."""
        return self.files[MODEL][:12]

    @property
    def runs(self) -> dict[str, str]:
        """Runtime and device, as a Runner is named -> the file that it loads."""
        return loaded_files(self.files)

    def file(self, name: str) -> Path:
        """The path of one of the bundle's files. Raises BundleError when it holds no such file."""
        if name not in self.files:
            raise BundleError(
                f"{self.path} holds no {name}; it has {', '.join(sorted(self.files))}"
            )
        return self.path / name

    @classmethod
    def open(cls, path: Path | str | None = None) -> Self:
        """Open and verify a bundle; without ``path``, the student embedded in the package.

        Raises BundleError when the folder is no bundle, is of another format, or was changed.
        """
        folder = Path(path) if path is not None else embedded_path()
        manifest = read_manifest(folder)
        try:
            bundle = cls(
                path=folder,
                name=str(manifest["name"]),
                spec=ClipSpec.from_json(manifest["spec"]),
                labels=tuple(str(label) for label in manifest["labels"]),
                files={name: str(entry["sha256"]) for name, entry in manifest["files"].items()},
                manifest=manifest,
            )
        except KeyError as error:
            raise BundleError(
                f"{folder / MANIFEST} lacks {error}; copy or export the bundle again"
            ) from error
        except (TypeError, AttributeError, SpecError) as error:
            raise BundleError(
                f"{folder / MANIFEST} is not a valid manifest ({error!r}); "
                "copy or export the bundle again"
            ) from error
        if not bundle.labels:
            raise BundleError(f"{folder / MANIFEST} names no labels; export the bundle again")
        if MODEL not in bundle.files:
            raise BundleError(f"{folder / MANIFEST} names no {MODEL}; export the bundle again")
        for name, expected in bundle.files.items():
            if problem := file_problem(folder, name, sha256=expected):
                raise BundleError(problem)
        return bundle


def sidecar(name: str) -> str:
    """The name of the file beside ``name`` that says how ``name`` was made (JSON)."""
    return f"{name}.json"


def loaded_files(present: Container[str]) -> dict[str, str]:
    """Runtime and device -> the file that it loads, in a bundle whose files are ``present``."""
    found = {}
    for runtime, names in _LOADED.items():
        if name := next((name for name in names if name in present), None):
            found[runtime] = name
    return found


def embedded_path() -> Path:
    """The folder of the student that ships inside the package."""
    return Path(str(files("motionfit.inference") / "student"))


def sha256_of(path: Path) -> str:
    """sha256 of a file's content, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """bundle.json of a folder. Raises BundleError when it has none, or one of another format."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"{folder} is not a bundle: it has no {MANIFEST}. "
            "Make one with  motionfit-export CHECKPOINT -o BUNDLE"
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"{path} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else manifest
        raise BundleError(
            f"{path} is of format {found!r}; this version of motionfit reads format {FORMAT}"
        )
    return manifest


def file_problem(folder: Path, name: str, *, sha256: str) -> str | None:
    """Why the file ``name`` of a bundle is not the one that its manifest names; None: it is."""
    if Path(name).name != name:
        return f"{folder / MANIFEST} names {name!r}, which is not inside the bundle"
    path = folder / name
    if not path.is_file():
        return f"{folder} lacks {name}, which its {MANIFEST} names; copy it whole again"
    if (found := sha256_of(path)) != sha256:
        return (
            f"{path} was changed: its sha256 is {found[:12]}..., {MANIFEST} says "
            f"{sha256[:12]}...; copy or export the bundle again"
        )
    return None
