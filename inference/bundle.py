"""The bundle: a folder that holds everything needed to recognise clips, moved as one.

``bundle.json`` names every other file with its sha256. Opening a bundle checks them all; nothing
in a bundle is ever unpickled or executed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BundleError, SpecError

FORMAT = 1
MANIFEST = "bundle.json"
MODEL = "model.onnx"
WEIGHTS = "student.safetensors"


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
        manifest = _read_manifest(folder)
        try:
            bundle = cls(
                path=folder,
                name=str(manifest["name"]),
                spec=ClipSpec.from_json(manifest["spec"]),
                labels=tuple(str(label) for label in manifest["labels"]),
                files={name: str(entry["sha256"]) for name, entry in manifest["files"].items()},
                manifest=manifest,
            )
        except (KeyError, TypeError, AttributeError, SpecError) as error:
            raise BundleError(f"{folder / MANIFEST} is not a valid manifest: {error!r}") from error
        if MODEL not in bundle.files:
            raise BundleError(f"{folder / MANIFEST} names no {MODEL}; export the bundle again")
        for name, expected in bundle.files.items():
            _verify(folder, name, expected)
        return bundle


def embedded_path() -> Path:
    """The folder of the student that ships inside the package."""
    return Path(str(files("motionfit.inference") / "student"))


def sha256_of(path: Path) -> str:
    """sha256 of a file's content, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_manifest(folder: Path) -> dict[str, Any]:
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


def _verify(folder: Path, name: str, expected: str) -> None:
    if Path(name).name != name:
        raise BundleError(f"{folder / MANIFEST} names {name!r}, which is not inside the bundle")
    path = folder / name
    if not path.is_file():
        raise BundleError(f"{folder} lacks {name}, which its {MANIFEST} names; copy it whole again")
    if (found := sha256_of(path)) != expected:
        raise BundleError(
            f"{path} was changed: its sha256 is {found[:12]}..., {MANIFEST} says "
            f"{expected[:12]}...; copy or export the bundle again"
        )
