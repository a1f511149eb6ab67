"""Which runtime and device run a model: what was asked for, or the best that is installed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from motionfit.inference.cuda_driver import driver_problem
from motionfit.inference.errors import BackendError, MissingExtra, require_extra
from motionfit.inference.plan import PlanRecord, why_not_here
from motionfit.inference.plan_library import PlanKind

CPU_WHEEL = "onnxruntime"
GPU_WHEEL = "onnxruntime-gpu"


class Backend(StrEnum):
    """An inference runtime."""

    AUTO = "auto"
    ONNX = "onnx"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"


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
    plan: PlanKind | None = None
    """Which of the bundle's plans TensorRT runs; None for the runtimes that run ONNX files."""


def choose(*, backend: Backend, device: Device, plans: Sequence[PlanRecord] = ()) -> Choice:
    """The runtime and device to use, where a bundle holds ``plans``.

    Raises BackendError when what was asked for is not there, and MissingExtra when its runtime is
    not installed. Nothing is imported here: installed runtimes are only looked up.
    """
    if backend is Backend.TENSORRT:
        return _tensorrt(device, plans)
    refuse_mixed_wheels()
    if backend is Backend.OPENVINO:
        return _openvino(device)
    refused: list[str] = []
    if backend is Backend.AUTO and device is not Device.CPU:
        for plan in plans:
            if (problem := why_not_here(plan)) is None:
                return _planned(plan.kind, "the bundle's plan was made for this GPU")
            refused.append(f"{plan.kind.file} is not used because {problem}")
    if backend is Backend.ONNX and Backend.ONNX not in installed_backends():
        raise _missing("ONNX Runtime is not installed")
    if device is Device.CPU:
        return _cpu(backend, "the CPU was asked for")
    problem = cuda_problem()
    if problem is None:
        reason = "; ".join(["an NVIDIA GPU and its wheel are there", *refused])
        return Choice(backend=Backend.ONNX, device=Device.CUDA, reason=reason)
    if device is Device.CUDA:
        raise BackendError(
            f"CUDA was asked for, but {'; '.join([problem, *refused])}. Use device cpu, or install "
            " motionfit[gpu]  into an environment without the extra cpu, on a machine with an "
            "NVIDIA GPU and its driver"
        )
    return _cpu(backend, "; ".join([f"CUDA is not used because {problem}", *refused]))


def installed_backends() -> tuple[Backend, ...]:
    """The runtimes of ONNX files that are installed, whatever they can run on."""
    modules = {Backend.ONNX: "onnxruntime", Backend.OPENVINO: "openvino"}
    return tuple(backend for backend, name in modules.items() if find_spec(name) is not None)


def refuse_mixed_wheels() -> None:
    """Raise BackendError when both ONNX Runtime wheels are installed.

    They hold the same package, and whichever was installed last overwrote the other's files.
    """
    if not (_installed(CPU_WHEEL) and _installed(GPU_WHEEL)):
        return
    extra = "cpu" if driver_problem() else "gpu"
    raise BackendError(
        f"{CPU_WHEEL} and {GPU_WHEEL} are both installed and overwrite each other's files. Run  "
        f"python -m pip uninstall -y {CPU_WHEEL} {GPU_WHEEL} && "
        f'python -m pip install "motionfit[{extra}]"'
    )


def cuda_problem() -> str | None:
    """Why ONNX Runtime cannot use an NVIDIA GPU here; None when it can be tried."""
    if not _installed(GPU_WHEEL):
        return f"{GPU_WHEEL} is not installed"
    return driver_problem()


def _tensorrt(device: Device, plans: Sequence[PlanRecord]) -> Choice:
    if device is Device.CPU:
        raise BackendError(
            "TensorRT does not run on the CPU: use backend onnx or openvino, or another device"
        )
    if not plans:
        raise BackendError(
            "TensorRT was asked for, but the bundle holds no plan: add one with  motionfit-export "
            "BUNDLE --tensorrt  on the machine that is to run it, or use another backend"
        )
    problems = []
    for plan in plans:
        if (problem := why_not_here(plan)) is None:
            return _planned(plan.kind, "TensorRT was asked for")
        problems.append(f"{plan.kind.file} does not run here: {problem}")
    raise BackendError(f"TensorRT was asked for, but {'; '.join(problems)}")


def _planned(kind: PlanKind, reason: str) -> Choice:
    return Choice(backend=Backend.TENSORRT, device=Device.CUDA, reason=reason, plan=kind)


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
