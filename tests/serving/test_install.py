"""The server as users install it: from a wheel, with neither torch nor OpenCV around."""

import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from motionfit.inference.bundle import Bundle
from tests.serving.conftest import ROOT, serving

STUDENT = ROOT / "inference" / "student"
ABSENT = ("torch", "torchvision", "cv2", "onnx")
SOURCES = ("inference", "training", "export", "serving", "benchmarks")
FILES = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with ``motionfit[cpu]`` from a wheel, and nothing else."""
    folder = tmp_path_factory.mktemp("install")
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / "tree" / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, folder / "tree" / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    call(*pip, "wheel", *options, folder / "tree")
    (wheel,) = folder.glob("*.whl")
    call(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    call(*pip, "--python", folder / "venv" / "bin" / "python", "install", f"{wheel}[cpu]")
    return folder / "venv"


def call(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_server_answers_where_neither_torch_nor_opencv_is_installed(
    environment: Path, bundle: Path, real_video: Path
) -> None:
    probe = f"import importlib.util as u; print([n for n in {ABSENT} if u.find_spec(n)])"
    found = subprocess.run(
        [environment / "bin" / "python", "-c", probe], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
    embedded = STUDENT.is_dir()
    arguments = () if embedded else ("--bundle", bundle)
    with serving(*arguments, command=environment / "bin" / "motionfit-serve") as server:
        with real_video.open("rb") as file:
            url = f"{server.wait_ready().url}/classify"
            answer = httpx.post(url, files={"video": file}, timeout=30).raise_for_status().json()
        expected = Bundle.open(None if embedded else bundle)
        assert answer["model"] == {"name": expected.name, "version": expected.version}
        assert answer["top"][0]["label"] in expected.labels
        assert server.stop() == 0
