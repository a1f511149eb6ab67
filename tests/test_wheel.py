"""What users install: the content of wheel and sdist, and that each kind of install imports."""

import json
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.installs import (
    ROOT,
    borrow_packages,
    copy_repository,
    make_environment,
    repository_files,
    run,
)

LAYERS = {"inference", "training", "export", "serving", "benchmarks"}
COMMANDS = {"motionfit-train", "motionfit-export", "motionfit-serve", "motionfit-bench"}
STUDENT = Path("inference/student")
CARD = Path("inference/STUDENT.md")
SAMPLE = {Path("export/SAMPLE.md"), Path("export/sample.mp4")}
PAGE = Path("serving/page")
TEMPLATE = Path("benchmarks/report/page.html.jinja")
BUNDLE_FILES = {"bundle.json", "model.onnx", "student.safetensors"}
METADATA_FILES = {
    "METADATA",
    "WHEEL",
    "RECORD",
    "entry_points.txt",
    "top_level.txt",
    "licenses/LICENSE",
}
PROBE = """
import importlib.metadata, json
from motionfit.inference import bundle
from motionfit.serving import cli
print(json.dumps({
    "module": bundle.__file__,
    "version": importlib.metadata.version("motionfit"),
    "labels": len(bundle.Bundle.open(None).labels),
}))
"""


def ships(path: Path) -> bool:
    """Whether a file of the repository belongs into the wheel."""
    module = path.suffix == ".py" or path.name == "py.typed"
    student = path == CARD or path.parent == STUDENT
    data = student or path.parent == PAGE or path in {TEMPLATE, *SAMPLE}
    return path.parts[0] in LAYERS and (module or data)


def shipped_files() -> set[str]:
    return {f"motionfit/{path}" for path in repository_files() if ships(path)}


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, so that no leftover of a build gets in or stays behind."""
    tree = tmp_path_factory.mktemp("source")
    copy_repository(tree)
    return tree


@pytest.fixture(scope="module")
def built(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(wheel, sdist): the sdist from the tree, and the wheel from the sdist, as users get them."""
    output = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", output, source_tree)
    (wheel,) = output.glob("*.whl")
    (sdist,) = output.glob("*.tar.gz")
    return wheel, sdist


def pip_install(environment: Path, *arguments: str | Path) -> None:
    python = environment / "bin" / "python"
    offline = ["--no-index", "--no-deps", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "--python", python, "install", *offline, *arguments)


def probe(environment: Path, *, cwd: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        run(environment / "bin" / "python", "-W", "error", "-c", PROBE, cwd=cwd)
    )
    return found


def test_the_wheel_holds_every_module_the_student_and_nothing_else(
    built: tuple[Path, Path],
) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
    information = f"{built[0].name.rsplit('-', 3)[0]}.dist-info"
    assert names == shipped_files() | {f"{information}/{name}" for name in METADATA_FILES}
    assert {f"motionfit/{layer}/py.typed" for layer in LAYERS} <= names
    assert {f"motionfit/{STUDENT}/{name}" for name in BUNDLE_FILES} <= names
    assert f"motionfit/{CARD}" in names


def test_the_wheel_states_licence_python_extras_and_the_four_commands(
    built: tuple[Path, Path],
) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        (path,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = message_from_bytes(wheel.read(path))
        commands = wheel.read(path.replace("METADATA", "entry_points.txt")).decode()
        licence = wheel.read(path.replace("METADATA", "licenses/LICENSE"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert metadata["Requires-Python"] == ">=3.11"
    extras = {"cpu", "gpu", "tensorrt", "rtx", "train", "export", "dev"}
    assert set(metadata.get_all("Provides-Extra", [])) == extras
    assert {line.split(" =")[0] for line in commands.splitlines() if " =" in line} == COMMANDS
    base = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert not [line for line in base if line.startswith(("onnxruntime", "openvino", "torch"))]


def test_the_sdist_holds_only_files_of_the_repository(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as sdist:
        files = {Path(*Path(member.name).parts[1:]) for member in sdist if member.isfile()}
    generated = {path for path in files if "motionfit.egg-info" in path.parts}
    generated |= {Path("PKG-INFO"), Path("setup.cfg")}
    assert files - generated <= set(repository_files())
    assert {f"motionfit/{path}" for path in files - generated} >= shipped_files()


def test_the_embedded_student_is_under_12_mb() -> None:
    assert sum(path.stat().st_size for path in (ROOT / STUDENT).iterdir()) < 12_000_000


def test_an_installed_wheel_imports_finds_its_student_and_runs_its_commands(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    site_packages = make_environment(environment, pip=False)
    pip_install(environment, built[0])
    borrow_packages(site_packages)

    found = probe(environment, cwd=tmp_path)
    assert found["module"] == str(site_packages / "motionfit" / "inference" / "bundle.py")
    assert found["version"] in built[0].name
    for command in sorted(COMMANDS):
        assert "Usage" in run(environment / "bin" / command, "--help", cwd=tmp_path)


def test_an_editable_install_imports_from_the_source_tree(
    source_tree: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    borrow_packages(make_environment(environment, pip=False))
    pip_install(environment, "--no-build-isolation", "--editable", source_tree)

    found = probe(environment, cwd=tmp_path)
    assert found["module"] == str(source_tree / "inference" / "bundle.py")
