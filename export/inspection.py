"""What is in a bundle, an ONNX file or a plan, for whom, and whether it runs here.

Nothing is loaded into a runtime, and no damaged file ends the inspection of the others.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from motionfit.export.inspect_onnx import OnnxFacts, onnx_facts
from motionfit.export.inspect_plan import PlanFacts, plan_facts
from motionfit.inference.backends import Backend, cuda_problem, installed_backends
from motionfit.inference.bundle import (
    MANIFEST,
    MODEL,
    embedded_path,
    file_problem,
    loaded_files,
    read_manifest,
    sidecar,
)
from motionfit.inference.errors import BundleError

ONNX_SUFFIX = ".onnx"
PLAN_SUFFIXES = {".plan", ".engine", ".trt"}


@dataclass(frozen=True, kw_only=True)
class File:
    """A file, and what is in it where that is known."""

    name: str
    bytes: int
    problem: str | None
    """What is wrong with it; None: nothing that could be seen."""
    onnx: OnnxFacts | None = None
    plan: PlanFacts | None = None
    half: Mapping[str, Any] | None = None
    """The sidecar of an ONNX file in half precision."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A runtime, and whether it runs a file here."""

    runtime: str
    """Runtime and device, as a Runner is named."""
    file: str
    problem: str | None
    """Why not; None: it does."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found at a path."""

    kind: Literal["bundle", "onnx", "plan"]
    path: Path
    files: tuple[File, ...]
    runs: tuple[Run, ...]
    manifest: Mapping[str, Any]
    """All of bundle.json; empty for a single file."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the files, a sentence each."""
        return tuple(file.problem for file in self.files if file.problem is not None)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {**asdict(self), "path": str(self.path)}


def inspect(path: Path | None) -> Inspection:
    """What is at ``path``; without one, the student embedded in the package.

    Raises BundleError when that is no bundle, no ONNX file and no plan, or a single file that is
    damaged. Of a bundle, damaged files are told in ``problems``.
    """
    path = path or embedded_path()
    if path.is_dir():
        return _bundle(path)
    if not path.is_file():
        raise BundleError(f"there is no {path}: name a bundle, an ONNX file or a plan")
    file = _contents(path, onnx=True)
    plan = file.plan
    runtimes = tuple(loaded_files({MODEL})) if plan is None else (f"{plan.header.kind}/cuda",)
    return Inspection(
        kind="onnx" if plan is None else "plan",
        path=path,
        files=(file,),
        runs=tuple(_run(runtime, file) for runtime in runtimes),
        manifest={},
    )


def _bundle(folder: Path) -> Inspection:
    manifest = read_manifest(folder)
    try:
        expected = {name: str(entry["sha256"]) for name, entry in manifest["files"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(
            f"{folder / MANIFEST} names no files; copy or export the bundle again"
        ) from error
    files = {name: _named(folder, name, sha256=digits) for name, digits in expected.items()}
    return Inspection(
        kind="bundle",
        path=folder,
        files=tuple(files.values()),
        runs=tuple(_run(runtime, files[name]) for runtime, name in loaded_files(files).items()),
        manifest=manifest,
    )


def _named(folder: Path, name: str, *, sha256: str) -> File:
    """A file that a bundle's manifest names; only one that is as it names it is read further."""
    path = folder / name
    if problem := file_problem(folder, name, sha256=sha256):
        # A name that leads out of the bundle is not even looked at.
        inside = Path(name).name == name and path.is_file()
        return File(name=name, bytes=path.stat().st_size if inside else 0, problem=problem)
    try:
        return _contents(path, onnx=path.suffix == ONNX_SUFFIX)
    except BundleError as error:
        return File(name=name, bytes=path.stat().st_size, problem=str(error))


def _contents(path: Path, *, onnx: bool) -> File:
    """A file that is a plan, and otherwise, where ``onnx`` says so, an ONNX file."""
    plan = _plan(path)
    read = onnx and plan is None
    return File(
        name=path.name,
        bytes=path.stat().st_size,
        problem=None,
        onnx=onnx_facts(path) if read else None,
        plan=plan,
        half=_sidecar(path) if read else None,
    )


def _plan(path: Path) -> PlanFacts | None:
    facts = plan_facts(path)
    if facts is None and path.suffix in PLAN_SUFFIXES:
        raise BundleError(
            f"{path} is cut short, damaged, or no TensorRT plan: copy or export it again"
        )
    return facts


def _sidecar(onnx: Path) -> Mapping[str, Any] | None:
    path = onnx.with_name(sidecar(onnx.name))
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise BundleError(f"{path} is damaged ({error}); export the bundle again") from error


def _run(runtime: str, file: File) -> Run:
    return Run(runtime=runtime, file=file.name, problem=file.problem or _why_not(runtime, file))


def _why_not(runtime: str, file: File) -> str | None:
    if file.plan is not None:
        return file.plan.problem
    if runtime == "onnxruntime/cuda":
        return cuda_problem()
    backend = Backend.OPENVINO if runtime.startswith("openvino") else Backend.ONNX
    if backend in installed_backends():
        return None
    return 'it is not installed: run  pip install "motionfit[cpu]"'
