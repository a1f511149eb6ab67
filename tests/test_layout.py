"""The promises of the layout: which way imports point, and that no package is forgotten."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "inference": set(),
    "training": {"inference"},
    "export": {"inference", "training"},
    "serving": {"inference"},
    "benchmarks": {"inference", "training", "export", "serving"},
}
TORCH_FREE = {"inference", "serving"}
HEAVY = {"torch", "torchvision", "cv2"}


def imported_modules(source: str) -> Iterator[str]:
    """The dotted name of everything that ``source`` imports, at any depth of its syntax tree."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                start = "." * node.level + (node.module or "")
                yield from (f"{start}.{alias.name}" for alias in node.names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def breaches(source: str, *, layer: str) -> list[str]:
    """The imports of ``source`` that a file of ``layer`` must not have."""
    allowed = {"motionfit." + name for name in MAY_IMPORT[layer] | {layer}}
    found = []
    for name in imported_modules(source):
        head, _, rest = name.partition(".")
        foreign = head == "motionfit" and f"motionfit.{rest.split('.')[0]}" not in allowed
        # A bare folder name imports only from the repository's root; "" is a relative import.
        by_accident = head in {"", "tests", *MAY_IMPORT}
        heavy = head in HEAVY and layer in TORCH_FREE
        if foreign or by_accident or heavy:
            found.append(name)
    return found


def layer_files(layer: str) -> list[Path]:
    return sorted((ROOT / layer).rglob("*.py"))


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_imports_point_one_way(layer: str) -> None:
    files = layer_files(layer)
    assert files, f"no modules in {layer}"
    found = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (names := breaches(path.read_text(), layer=layer))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import motionfit.training.model",
        "from motionfit import training",
        "from motionfit.benchmarks.timing import measure",
        "from motionfit.export import pipeline as p",
        "def f():\n    import torch.nn",
        "if TYPE_CHECKING:\n    from torch import Tensor",
        "import cv2",
        "from . import limits",
        "from .limits import wrap",
        "import inference.clip",
        "from tests.conftest import clip",
        "importlib.import_module('torch')",
        "__import__('motionfit.training')",
    ],
)
def test_the_walk_sees_a_breach_of_serving(source: str) -> None:
    assert breaches(source, layer="serving")


def test_the_walk_lets_allowed_imports_pass() -> None:
    source = (
        "import torchcodecs\nfrom motionfit.inference.clip import ClipSpec\nimport numpy.linalg"
    )
    assert breaches(source, layer="serving") == []


def test_every_package_on_disk_is_listed_for_the_wheel_with_its_folder() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT) for layer in MAY_IMPORT for path in layer_files(layer)}
    on_disk = {".".join(("motionfit", *folder.parts)): str(folder) for folder in folders}
    assert set(setuptools["packages"]) == set(on_disk)
    top_level = {name: folder for name, folder in on_disk.items() if name.count(".") == 1}
    assert setuptools["package-dir"] == top_level


def test_the_lists_of_the_type_checker_and_of_the_wheel_agree() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert set(tool["mypy"]["packages"]) == set(tool["setuptools"]["package-dir"])
    for layer in MAY_IMPORT:
        assert (ROOT / ".typing" / "motionfit" / layer).resolve() == ROOT / layer
