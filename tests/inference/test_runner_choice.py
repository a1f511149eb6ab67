"""Which runtime runs, and what is said when it cannot."""

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
from motionfit.inference.plan import PlanRecord
from motionfit.inference.plan_library import PlanKind
from tests.inference.test_plan import FULL, RTX
from tests.nvidia_driver import H100, RTX_4090, Driver, put_in_place


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

        monkeypatch.setattr(backends, "distribution", distribution)
        monkeypatch.setattr(backends, "find_spec", find_spec)
        monkeypatch.setattr("motionfit.inference.errors.find_spec", find_spec)
        put_in_place(monkeypatch, driver)

    return pretend


@pytest.mark.parametrize(
    ("wheels", "driver", "backend", "device"),
    [
        (("onnxruntime", "openvino"), None, Backend.OPENVINO, Device.CPU),
        (("onnxruntime", "openvino"), Driver(RTX_4090), Backend.OPENVINO, Device.CPU),
        (("onnxruntime",), None, Backend.ONNX, Device.CPU),
        (("openvino",), None, Backend.OPENVINO, Device.CPU),
        (("onnxruntime-gpu",), Driver(RTX_4090), Backend.ONNX, Device.CUDA),
        (("onnxruntime-gpu", "openvino"), Driver(RTX_4090), Backend.ONNX, Device.CUDA),
        (("onnxruntime-gpu", "openvino"), Driver(), Backend.OPENVINO, Device.CPU),
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
        (("onnxruntime", "openvino"), Driver(RTX_4090), "onnxruntime-gpu is not installed"),
        (("onnxruntime-gpu",), None, "no NVIDIA driver"),
        (("onnxruntime-gpu",), Driver(RTX_4090, status=100), "cuInit gives error 100"),
        (("onnxruntime-gpu",), Driver(), "sees no GPU"),
    ],
)
def test_cuda_that_was_asked_for_and_is_not_there_is_an_error_with_the_cause(
    machine: Any, backend: Backend, wheels: tuple[str, ...], driver: Driver | None, reason: str
) -> None:
    machine(wheels=wheels, driver=driver)
    with pytest.raises(BackendError, match=reason):
        choose(backend=backend, device=Device.CUDA)


def test_openvino_on_cuda_is_refused(machine: Any) -> None:
    machine(wheels=("onnxruntime-gpu", "openvino"), driver=Driver(RTX_4090))
    with pytest.raises(BackendError, match="OpenVINO does not run on CUDA"):
        choose(backend=Backend.OPENVINO, device=Device.CUDA)


@pytest.fixture
def plans_run_on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make plans of one kind, or none, run here."""

    def pretend(kind: PlanKind | None) -> None:
        def why_not_here(record: PlanRecord) -> str | None:
            return None if record.kind is kind else "it was built for another GPU"

        monkeypatch.setattr(backends, "why_not_here", why_not_here)

    return pretend


@pytest.mark.parametrize("kind", PlanKind)
@pytest.mark.parametrize("backend", [Backend.AUTO, Backend.TENSORRT])
@pytest.mark.parametrize("device", [Device.AUTO, Device.CUDA])
def test_a_plan_that_runs_here_comes_before_every_onnx_runtime(
    machine: Any, plans_run_on: Any, kind: PlanKind, backend: Backend, device: Device
) -> None:
    machine(wheels=("onnxruntime-gpu", "openvino"), driver=Driver(H100))
    plans_run_on(kind)
    choice = choose(backend=backend, device=device, plans=(FULL, RTX))
    assert (choice.backend, choice.device, choice.plan) == (Backend.TENSORRT, Device.CUDA, kind)


def test_a_plan_that_does_not_run_here_is_left_and_the_reason_is_told(
    machine: Any, plans_run_on: Any
) -> None:
    plans_run_on(None)
    why = "model.plan is not used because it was built for another GPU"
    machine(wheels=("onnxruntime-gpu",), driver=Driver(RTX_4090))
    choice = choose(backend=Backend.AUTO, device=Device.AUTO, plans=(FULL,))
    assert (choice.backend, choice.device) == (Backend.ONNX, Device.CUDA)
    assert why in choice.reason
    machine(wheels=("openvino",))
    choice = choose(backend=Backend.AUTO, device=Device.AUTO, plans=(FULL,))
    assert (choice.backend, choice.plan) == (Backend.OPENVINO, None)
    assert why in choice.reason
    with pytest.raises(BackendError, match=why):
        choose(backend=Backend.AUTO, device=Device.CUDA, plans=(FULL,))


@pytest.mark.parametrize(
    ("device", "plans", "reason"),
    [
        (Device.CPU, (FULL,), "does not run on the CPU: use backend onnx or openvino"),
        (Device.AUTO, (), "holds no plan: add one with  motionfit-export BUNDLE --tensorrt"),
        (Device.CUDA, (FULL, RTX), r"model.plan does not run here: .*; model.rtx.plan does not"),
    ],
)
def test_tensorrt_that_was_asked_for_and_cannot_run_is_an_error_with_the_cause(
    machine: Any, plans_run_on: Any, device: Device, plans: tuple[PlanRecord, ...], reason: str
) -> None:
    machine(wheels=("openvino",))
    plans_run_on(None)
    with pytest.raises(BackendError, match=reason):
        choose(backend=Backend.TENSORRT, device=device, plans=plans)


def test_plans_are_not_for_the_other_backends(machine: Any, plans_run_on: Any) -> None:
    machine(wheels=("onnxruntime-gpu", "openvino"), driver=Driver(H100))
    plans_run_on(PlanKind.TENSORRT)
    for backend in (Backend.ONNX, Backend.OPENVINO):
        assert choose(backend=backend, device=Device.AUTO, plans=(FULL,)).backend is backend
    choice = choose(backend=Backend.AUTO, device=Device.CPU, plans=(FULL,))
    assert choice.device is Device.CPU


def test_the_cpu_that_was_asked_for_is_taken_although_a_gpu_is_there(machine: Any) -> None:
    machine(wheels=("onnxruntime-gpu",), driver=Driver(RTX_4090))
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
