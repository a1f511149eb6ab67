"""Which runtime and device run a model: what was asked for, or the best that is installed."""

import ctypes
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from motionfit.inference.errors import BackendError, MissingExtra, require_extra

CPU_WHEEL = "onnxruntime"
GPU_WHEEL = "onnxruntime-gpu"


class Backend(StrEnum):
    """An inference runtime."""

    AUTO = "auto"
    ONNX = "onnx"
    OPENVINO = "openvino"


class Device(StrEnum):
    """Where the model runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A runtime and device, neither of them AUTO."""

    backend: Backend
    device: Device
    reason: str
    """Why, as part of a sentence for the log."""


def choose(*, backend: Backend, device: Device) -> Choice:
    """The runtime and device to use.

    Raises BackendError when what was asked for is not there, and MissingExtra when its runtime is
    not installed. Nothing is imported here: installed runtimes are only looked up.
    """
    refuse_mixed_wheels()
    if backend is Backend.OPENVINO:
        return _openvino(device)
    if backend is Backend.ONNX and Backend.ONNX not in installed_backends():
        raise _missing("ONNX Runtime is not installed")
    if device is Device.CPU:
        return _cpu(backend, "the CPU was asked for")
    problem = cuda_problem()
    if problem is None:
        return Choice(
            backend=Backend.ONNX, device=Device.CUDA, reason="an NVIDIA GPU and its wheel are there"
        )
    if device is Device.CUDA:
        raise BackendError(
            f"CUDA was asked for, but {problem}. Use device cpu, or install  motionfit[gpu]  into "
            "an environment without the extra cpu, on a machine with an NVIDIA GPU and its driver"
        )
    return _cpu(backend, f"CUDA is not used because {problem}")


def installed_backends() -> tuple[Backend, ...]:
    """The runtimes that are installed, whatever they can run on."""
    modules = {Backend.ONNX: "onnxruntime", Backend.OPENVINO: "openvino"}
    return tuple(backend for backend, name in modules.items() if find_spec(name) is not None)


def refuse_mixed_wheels() -> None:
    """Raise BackendError when both ONNX Runtime wheels are installed.

    They hold the same package, and whichever was installed last overwrote the other's files.
    """
    if not (_installed(CPU_WHEEL) and _installed(GPU_WHEEL)):
        return
    extra = "cpu" if _driver_problem() else "gpu"
    raise BackendError(
        f"{CPU_WHEEL} and {GPU_WHEEL} are both installed and overwrite each other's files. Run  "
        f"python -m pip uninstall -y {CPU_WHEEL} {GPU_WHEEL} && "
        f'python -m pip install "motionfit[{extra}]"'
    )


def cuda_problem() -> str | None:
    """Why ONNX Runtime cannot use an NVIDIA GPU here; None when it can be tried."""
    if not _installed(GPU_WHEEL):
        return f"{GPU_WHEEL} is not installed"
    return _driver_problem()


def _openvino(device: Device) -> Choice:
    if device is Device.CUDA:
        raise BackendError("OpenVINO does not run on CUDA: use backend onnx, or device cpu")
    require_extra("cpu", "openvino")
    return Choice(backend=Backend.OPENVINO, device=Device.CPU, reason="OpenVINO was asked for")


def _cpu(backend: Backend, reason: str) -> Choice:
    if backend is Backend.ONNX:
        return Choice(
            backend=backend, device=Device.CPU, reason=f"ONNX Runtime was asked for; {reason}"
        )
    installed = installed_backends()
    if Backend.OPENVINO in installed:
        return Choice(
            backend=Backend.OPENVINO,
            device=Device.CPU,
            reason=f"OpenVINO is installed and the faster one on CPUs; {reason}",
        )
    if Backend.ONNX in installed:
        return Choice(
            backend=Backend.ONNX,
            device=Device.CPU,
            reason=f"ONNX Runtime is installed and OpenVINO is not; {reason}",
        )
    raise _missing("no inference runtime is installed")


def _missing(what: str) -> MissingExtra:
    return MissingExtra(
        f'{what}: run  pip install "motionfit[cpu]"  or, for an NVIDIA GPU, "motionfit[gpu]"'
    )


def _installed(wheel: str) -> bool:
    try:
        distribution(wheel)
    except PackageNotFoundError:
        return False
    return True


def _driver_problem() -> str | None:
    """What the CUDA driver says, asked directly: runtimes may fall back, or crash, without one."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return f"there is no NVIDIA driver ({error})"
    if status := driver.cuInit(0):
        return f"the NVIDIA driver does not start (cuInit gives error {status})"
    count = ctypes.c_int()
    if status := driver.cuDeviceGetCount(ctypes.byref(count)):
        return f"the NVIDIA driver lists no GPUs (cuDeviceGetCount gives error {status})"
    return None if count.value else "the NVIDIA driver sees no GPU"
