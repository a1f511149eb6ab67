"""The four commands as processes: help, exit codes, one-line errors, completion, extras."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

BIN = Path(sys.executable).parent
FOLDERS = {
    "motionfit-train": "training",
    "motionfit-export": "export",
    "motionfit-serve": "serving",
    "motionfit-bench": "benchmarks",
}
EXTRAS = (
    "cv2",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openvino",
    "safetensors",
    "tensorrt",
    "torch",
    "torchvision",
)
# What site.py imports at start-up: a finder for which some packages are not installed.
HIDE = """
import os, sys
from importlib.machinery import PathFinder

hidden = set(os.environ.get("HIDDEN", "").split())  # decoding children have few variables

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in hidden:
            return PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""

Process = subprocess.CompletedProcess[str]


def run(
    command: str, *arguments: str | Path, cwd: Path | None = None, **environment: str
) -> Process:
    return subprocess.run(
        [BIN / command, *arguments],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200", "TERM": "dumb"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def without(folder: Path, *packages: str) -> dict[str, str]:
    """Environment variables of a Python in which ``packages`` are not installed."""
    (folder / "sitecustomize.py").write_text(HIDE)
    return {"PYTHONPATH": str(folder), "HIDDEN": " ".join(packages)}


def group(folder: str) -> TyperGroup:
    found = typer.main.get_command(import_module(f"motionfit.{folder}.cli").app)
    assert isinstance(found, TyperGroup)
    return found


SUB_COMMANDS = [
    (command, name) for command, folder in FOLDERS.items() for name in group(folder).commands
]


def assert_one_line_error(done: Process, *parts: str) -> None:
    assert done.returncode == 1, done
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    for part in parts:
        assert part in done.stderr


@pytest.mark.parametrize("command", FOLDERS)
def test_help_loads_and_needs_no_extra(command: str, tmp_path: Path) -> None:
    done = run(command, "--help", **without(tmp_path, *EXTRAS))
    assert done.returncode == 0, done.stderr
    for part in ("Usage:", "--install-completion", "--debug"):
        assert part in done.stdout


@pytest.mark.parametrize(("command", "name"), SUB_COMMANDS)
def test_every_option_says_what_it_is(command: str, name: str, tmp_path: Path) -> None:
    done = run(command, name, "--help", **without(tmp_path, *EXTRAS))
    assert done.returncode == 0, done.stderr
    parameters = group(FOLDERS[command]).commands[name].params
    options = [option for option in parameters if option.param_type_name == "option"]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("command", FOLDERS)
def test_wrong_use_exits_with_2(command: str) -> None:
    done = run(command, "--no-such-option")
    assert done.returncode == 2
    assert "--no-such-option" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def failing(tmp_path: Path) -> dict[str, list[str | Path]]:
    """For each command, a use of it that is right in form and must fail."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("neither a checkpoint nor a result\n")
    return {
        "motionfit-train": ["fit", "--labelled", tmp_path / "empty", "-o", tmp_path / "run"],
        "motionfit-export": [tmp_path / "text", "-o", tmp_path / "bundle"],
        "motionfit-serve": ["--bundle", tmp_path / "empty"],
        "motionfit-bench": ["compare", tmp_path / "text", tmp_path / "text"],
    }


@pytest.mark.parametrize("command", FOLDERS)
def test_a_failure_is_one_line_and_exit_code_1(
    command: str, failing: dict[str, list[str | Path]], tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert_one_line_error(run(command, *failing[command]), str(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", FOLDERS)
def test_debug_shows_the_traceback_of_a_failure(
    command: str, failing: dict[str, list[str | Path]]
) -> None:
    done = run(command, *failing[command], "--debug")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr


@pytest.mark.parametrize(
    ("command", "arguments", "missing", "extra"),
    [
        ("motionfit-train", ["describe"], "torch", "train"),
        ("motionfit-train", ["fit", "--labelled", ".", "-o", "run"], "torch", "train"),
        ("motionfit-export", [".", "-o", "bundle"], "onnx", "export"),
        ("motionfit-serve", ["--port", "0"], "onnxruntime openvino", "cpu"),
        ("motionfit-serve", ["classify", "clip.mp4"], "onnxruntime openvino", "cpu"),
        ("motionfit-bench", ["latency", "embedded", "clip.mp4"], "onnxruntime openvino", "cpu"),
    ],
)
def test_a_missing_extra_is_named(
    command: str, arguments: list[str], missing: str, extra: str, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").touch()
    done = run(command, *arguments, cwd=tmp_path, **without(tmp_path, *missing.split()))
    assert_one_line_error(done, "pip install", f"motionfit[{extra}")


@pytest.mark.parametrize("command", FOLDERS)
def test_bash_completes_sub_commands(command: str) -> None:
    variable = f"_{command.upper().replace('-', '_')}_COMPLETE"
    typed = {variable: "complete_bash", "COMP_WORDS": f"{command} ", "COMP_CWORD": "1"}
    offered = run(command, **typed).stdout.split()
    assert set(offered) >= {name for owner, name in SUB_COMMANDS if owner == command}


@pytest.mark.parametrize("command", FOLDERS)
def test_completion_can_be_installed_and_shown_for_bash(command: str, tmp_path: Path) -> None:
    # The shell is found by looking at the parents of the process, so bash has to be one and stay.
    for flag in ("--install-completion", "--show-completion"):
        done = subprocess.run(
            ["bash", "-c", f"'{BIN / command}' {flag}; exit $?"],
            env=os.environ | {"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
    script = tmp_path / ".bash_completions" / f"{command}.sh"
    assert script.read_text().endswith(f" {command}")
    assert str(script) in (tmp_path / ".bashrc").read_text()
    assert script.read_text() in done.stdout
