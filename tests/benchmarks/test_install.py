import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motionfit.benchmarks.result import read_result

Bench = Callable[..., Any]
PYPROJECT = """
[project]
name = "motionfit"
version = "0"
[project.optional-dependencies]
cpu = ["h11"]
[project.scripts]
motionfit-serve = "stand_in:main"
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[tool.setuptools]
py-modules = ["stand_in"]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small package of motionfit's name, in git."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "stand_in.py").write_text(f"def main(): pass\nFILLING = '{'x' * 300_000}'\n")
    (folder / ".gitignore").write_text("ignored\n")
    (folder / "ignored").write_bytes(bytes(100))
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    return folder


def test_an_installation_is_timed_and_sized_by_package(
    checkout: Path, bench: Bench, tmp_path: Path
) -> None:
    files = sorted(checkout.iterdir())
    output = tmp_path / "install.json"
    done = bench("install", checkout, "--warm-rounds", 1, "-o", output)
    assert done.returncode == 0, done.stderr
    result = read_result(output)
    assert {case.name: case.summary.n for case in result.cases} == {
        "install/empty-cache": 1,
        "install/warm-cache": 1,
    }
    sizes = {one.name: one.value for one in result.figures}
    assert set(sizes) == {"wheel", "size/total", "size/motionfit", "size/h11"}
    assert sizes["size/total"] == sizes["size/motionfit"] + sizes["size/h11"]
    # Once as source and once compiled.
    assert 600_000 < sizes["size/motionfit"] < 650_000
    assert 0 < sizes["wheel"] < sizes["size/motionfit"]
    assert "MiB  h11" in done.stdout
    assert sorted(checkout.iterdir()) == files, "building left something in the checkout"


def test_a_failure_says_which_step_and_why(checkout: Path, bench: Bench) -> None:
    (checkout / "pyproject.toml").write_text("[project")
    done = bench("install", checkout)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "-m pip" in done.stderr
    assert "failed" in done.stderr


def test_what_is_no_checkout_is_refused(bench: Bench, tmp_path: Path) -> None:
    done = bench("install", tmp_path)
    assert done.returncode == 2
    assert "no pyproject.toml" in " ".join(done.stderr.replace("│", " ").split())
    (tmp_path / "pyproject.toml").touch()
    done = bench("install", tmp_path)
    assert done.returncode == 1
    assert "git -C" in done.stderr
