"""Which runtime runs, and what is said when it cannot."""

import ctypes
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from motionfit.inference import backends
from motionfit.inference.backends import Backend, Device, choose
from motionfit.inference.errors import BackendError, MissingExtra


class Driver:
    """libcuda as it may answer."""

    def __init__(self, *, status: int = 0, gpus: int = 1) -> None:
        self.status = status
        self.gpus = gpus

    def cuInit(self, flags: int) -> int:
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.gpus
        return 0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the machine look as if it had certain wheels, and a certain driver or none."""

    def pretend(*, wheels: tuple[str, ...], driver: Driver | None = None) -> None:
        def distribution(name: str) -> object:
            if name not in wheels:
                raise PackageNotFoundError(name)
            return SimpleNamespace(name=name)

        def find_spec(name: str) -> object:
            return name if any(wheel.startswith(name) for wheel in wheels) else None

        def load(name: str) -> Driver:
            if driver is None:
                raise OSError(f"{name}: cannot open shared object file")
            return driver

        monkeypatch.setattr(backends, "distribution", distribution)
        monkeypatch.setattr(backends, "find_spec", find_spec)
        monkeypatch.setattr("motionfit.inference.errors.find_spec", find_spec)
        monkeypatch.setattr(ctypes, "CDLL", load)

    return pretend


@pytest.mark.parametrize(
    ("wheels", "driver", "backend", "device"),
    [
        (("onnxruntime", "openvino"), None, Backend.OPENVINO, Device.CPU),
        (("onnxruntime", "openvino"), Driver(), Backend.OPENVINO, Device.CPU),
        (("onnxruntime",), None, Backend.ONNX, Device.CPU),
        (("openvino",), None, Backend.OPENVINO, Device.CPU),
        (("onnxruntime-gpu",), Driver(), Backend.ONNX, Device.CUDA),
        (("onnxruntime-gpu", "openvino"), Driver(), Backend.ONNX, Device.CUDA),
        (("onnxruntime-gpu", "openvino"), Driver(gpus=0), Backend.OPENVINO, Device.CPU),
        (("onnxruntime-gpu",), None, Backend.ONNX, Device.CPU),
    ],
)
def test_auto_takes_cuda_then_openvino_then_onnx_runtime(
    machine: Any,
    wheels: tuple[str, ...],
    driver: Driver | None,
    backend: Backend,
    device: Device,
) -> None:
    machine(wheels=wheels, driver=driver)
    choice = choose(backend=Backend.AUTO, device=Device.AUTO)
    assert (choice.backend, choice.device) == (backend, device)
    assert choice.reason


@pytest.mark.parametrize("backend", [Backend.AUTO, Backend.ONNX])
@pytest.mark.parametrize(
    ("wheels", "driver", "reason"),
    [
        (("onnxruntime", "openvino"), Driver(), "onnxruntime-gpu is not installed"),
        (("onnxruntime-gpu",), None, "no NVIDIA driver"),
        (("onnxruntime-gpu",), Driver(status=100), "cuInit gives error 100"),
        (("onnxruntime-gpu",), Driver(gpus=0), "sees no GPU"),
    ],
)
def test_cuda_that_was_asked_for_and_is_not_there_is_an_error_with_the_cause(
    machine: Any, backend: Backend, wheels: tuple[str, ...], driver: Driver | None, reason: str
) -> None:
    machine(wheels=wheels, driver=driver)
    with pytest.raises(BackendError, match=reason):
        choose(backend=backend, device=Device.CUDA)


def test_openvino_on_cuda_is_refused(machine: Any) -> None:
    machine(wheels=("onnxruntime-gpu", "openvino"), driver=Driver())
    with pytest.raises(BackendError, match="OpenVINO does not run on CUDA"):
        choose(backend=Backend.OPENVINO, device=Device.CUDA)


def test_the_cpu_that_was_asked_for_is_taken_although_a_gpu_is_there(machine: Any) -> None:
    machine(wheels=("onnxruntime-gpu",), driver=Driver())
    assert choose(backend=Backend.AUTO, device=Device.CPU).device is Device.CPU


@pytest.mark.parametrize(
    ("backend", "wheels"),
    [
        (Backend.AUTO, ()),
        (Backend.ONNX, ("openvino",)),
        (Backend.OPENVINO, ("onnxruntime",)),
    ],
)
def test_a_runtime_that_is_not_installed_is_an_error_that_names_the_extra(
    machine: Any, backend: Backend, wheels: tuple[str, ...]
) -> None:
    machine(wheels=wheels)
    with pytest.raises(MissingExtra, match=r'pip install "motionfit\[cpu\]"') as error:
        choose(backend=backend, device=Device.AUTO)
    if backend is not Backend.OPENVINO:
        assert '"motionfit[gpu]"' in str(error.value)


def test_both_onnx_runtime_wheels_together_are_refused_with_the_command_that_mends_it(
    tmp_path: Path,
) -> None:
    for name in ("onnxruntime", "onnxruntime_gpu"):
        folder = tmp_path / f"{name}-1.31.1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.31.1\n"
        )
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from motionfit.inference.backends import Backend, Device, choose
from motionfit.inference.errors import BackendError
try:
    choose(backend=Backend.OPENVINO, device=Device.CPU)
except BackendError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "python -m pip uninstall -y onnxruntime onnxruntime-gpu && " in done.stdout
    assert 'python -m pip install "motionfit[' in done.stdout
