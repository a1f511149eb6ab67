"""The command as a process: exit codes, what is printed, signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from motionfit.inference.bundle import MODEL, WEIGHTS, Bundle

Contents = Callable[[Path], dict[str, bytes]]

MAIN = "from motionfit.export.cli import main; main()"
SABOTAGED = f"""
import motionfit.export.to_onnx as to_onnx
from motionfit.export.fold import folded

def forgetful(model):
    result = folded(model)
    result.layer1[0].conv1[0][0].bias.data.zero_()
    return result

to_onnx.folded = forgetful
{MAIN}
"""


def command(code: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]


def test_an_export_prints_its_parity_and_nothing_else(run_folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        command(MAIN, run_folder, "-o", tmp_path / "bundle", "--name", "walker"),
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "CI"} | {"HOME": str(home)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for file in ("model.onnx", "model.lowered.onnx"):
        for runtime in ("onnxruntime/cpu", "openvino/cpu"):
            assert f"{file} in {runtime}" in done.stdout
    for word in (
        "student.safetensors",
        "100.0%",
        "embedding",
        "in batch",
        "clips.safetensors",
        "walker",
    ):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    assert Bundle.open(tmp_path / "bundle").name == "walker"
    assert list(home.iterdir()) == []  # no runtime's telemetry


def test_a_sabotaged_export_exits_with_1_and_one_line(
    bundle_copy: Path, run_folder: Path, contents: Contents
) -> None:
    before = contents(bundle_copy.parent)
    done = subprocess.run(
        command(SABOTAGED, run_folder, "-o", bundle_copy),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: model.onnx in onnxruntime/cpu against student.safetensors: logits"
    )
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert contents(bundle_copy.parent) == before


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_a_killed_export_leaves_the_old_bundle_usable(
    bundle_copy: Path, run_folder: Path, contents: Contents, signum: int, code: int
) -> None:
    place = bundle_copy.parent
    before = contents(place)
    process = subprocess.Popen(
        command(MAIN, run_folder, "-o", bundle_copy), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not list(place.glob(".bundle.*.unfinished/model.onnx")):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signum)
    process.communicate(timeout=60)
    assert process.returncode == code
    after = contents(place)
    assert {name: after[name] for name in before} == before
    Bundle.open(bundle_copy)
    if signum != signal.SIGKILL:
        assert after == before


def test_a_disk_that_is_full_is_one_line_and_keeps_the_old_bundle(
    bundle_copy: Path, run_folder: Path, contents: Contents
) -> None:
    weights, model = (bundle_copy / name for name in (WEIGHTS, MODEL))
    room = (
        weights.stat().st_size + model.stat().st_size
    ) // 2  # it ends in the middle of the model
    before = contents(bundle_copy.parent)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))"
    done = subprocess.run(
        command(f"{limit}\n{MAIN}", run_folder, "-o", bundle_copy),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: there is no room to write {bundle_copy}: ")
    assert done.stderr.count("\n") == 1
    assert contents(bundle_copy.parent) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--batch", "8", "4", "32"], "batch sizes must be 1 <= MIN <= OPT <= MAX, got 8 4 32"),
        (["--tensorrt"], "TensorRT is not installed"),
        (["--compute-capability", "8.9"], "TensorRT-RTX is not installed"),
    ],
)
def test_what_cannot_be_made_here_is_one_line_before_any_work(
    tmp_path: Path, options: list[str], says: str
) -> None:
    without_tensorrt = "import motionfit.inference.plan_library as library\n"
    without_tensorrt += "library.find_spec = lambda name: None\n"
    done = subprocess.run(
        command(without_tensorrt + MAIN, tmp_path / "nothing", "-o", tmp_path / "bundle", *options),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_wrong_use_exits_with_2_and_help_is_quick() -> None:
    light = f"import sys; sys.modules['torch'] = None; {MAIN}"
    wrong = subprocess.run(
        command(light, "--batch", "1", "8"), capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "--batch" in wrong.stderr
    for arguments in (["convert", "--help"], ["verify", "--help"], ["--help"], []):
        shown = subprocess.run(
            command(light, *arguments), capture_output=True, text=True, check=False
        )
        assert "Usage" in shown.stdout + shown.stderr
        assert ("--clips" if arguments[1:] else "inspect") in shown.stdout + shown.stderr


def test_a_missing_extra_is_named(run_folder: Path, tmp_path: Path) -> None:
    code = f"""
import importlib.util, sys
real = importlib.util.find_spec
import motionfit.inference.errors as errors
errors.find_spec = lambda name: None if name == "onnxscript" else real(name)
{MAIN}
"""
    done = subprocess.run(
        command(code, run_folder, "-o", tmp_path / "bundle"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert 'pip install "motionfit[export]"' in done.stderr
    assert list(tmp_path.iterdir()) == []
