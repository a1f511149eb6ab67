"""The two libraries that make and run plans: TensorRT, and TensorRT-RTX for GeForce and RTX GPUs.

Both have the same interface. Importing either needs no GPU; almost everything else in TensorRT
crashes without one, so the driver is asked first (``cuda_driver``).
"""

import logging
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from motionfit.inference.bundle import PLAN, RTX_PLAN
from motionfit.inference.cuda_driver import cuda_version, driver_problem
from motionfit.inference.errors import BackendError

logger = logging.getLogger(__name__)


class PlanKind(StrEnum):
    """Which library makes and runs a plan."""

    TENSORRT = "tensorrt"
    RTX = "tensorrt-rtx"

    @property
    def product(self) -> str:
        """Its name in sentences."""
        return _PACKAGING[self].product

    @property
    def file(self) -> str:
        """The name of such a plan in a bundle."""
        return _PACKAGING[self].file

    @property
    def extra(self) -> str:
        """The extra that installs it."""
        return _PACKAGING[self].extra


@dataclass(frozen=True, kw_only=True)
class _Packaging:
    product: str
    module: str
    file: str
    extra: str
    wheels: tuple[str, ...]
    """Whose version is the library's; ``cuNN`` in a name is the CUDA it was built with."""
    oldest: tuple[int, int]
    below: tuple[int, int]


_PACKAGING = {
    PlanKind.TENSORRT: _Packaging(
        product="TensorRT",
        module="tensorrt",
        file=PLAN,
        extra="tensorrt",
        wheels=("tensorrt-cu13-bindings", "tensorrt-cu12-bindings", "tensorrt"),
        oldest=(10, 13),
        below=(12, 0),
    ),
    PlanKind.RTX: _Packaging(
        product="TensorRT-RTX",
        module="tensorrt_rtx",
        file=RTX_PLAN,
        extra="rtx",
        wheels=("tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings", "tensorrt-rtx"),
        oldest=(1, 7),
        below=(2, 0),
    ),
}


def installed_version(kind: PlanKind) -> str | None:
    """The version that is installed, such as ``10.13.3.9``; None: not installed."""
    found = _installed(kind)
    return found[1] if found else None


def library_problem(kind: PlanKind) -> str | None:
    """Why the installed library cannot be used, and what to do; None when it can.

    Nothing is imported: installed packages are only looked up.
    """
    packaging = _PACKAGING[kind]
    wanted = f'run  pip install "motionfit[{kind.extra}]"'
    found = installed_version(kind)
    if found is None:
        return f"{kind.product} is not installed: {wanted}"
    numbers = tuple(int(part) for part in found.split(".")[:2])
    if not packaging.oldest <= numbers < packaging.below:
        oldest, below = (".".join(map(str, ends)) for ends in (packaging.oldest, packaging.below))
        return (
            f"{kind.product} {found} is installed, and motionfit works with {oldest} to below "
            f"{below}: {wanted}"
        )
    return None


def cuda_bindings_installed() -> bool:
    """Whether there is what a runner moves clips to the GPU with."""
    try:
        return find_spec("cuda.bindings") is not None
    except ModuleNotFoundError:  # not even the namespace package that would hold it
        return False


def gpu_problem(kind: PlanKind) -> str | None:
    """Why the installed library cannot use a GPU here, as part of a sentence; None when it can."""
    if problem := driver_problem():
        return problem
    needed, there = _cuda_of(kind), cuda_version()
    if needed is not None and there is not None and there[0] < needed:
        return (
            f"the NVIDIA driver is for CUDA {there[0]}.{there[1]} and the installed {kind.product} "
            f"needs CUDA {needed}; install a newer driver"
        )
    return None


class PlanLibrary:
    """An imported library, and what it has complained about."""

    def __init__(self, kind: PlanKind) -> None:
        """Raises BackendError when the library is damaged or parts of it are missing."""
        try:
            self.trt: Any = import_module(_PACKAGING[kind].module)
        except (ImportError, OSError) as error:  # OSError: a part that it loads by its path
            raise BackendError(
                f"{kind.product} is installed but cannot be imported ({error}): run  "
                f'pip install --force-reinstall "motionfit[{kind.extra}]"'
            ) from error
        self.kind = kind
        self._errors: list[str] = []
        self.log = _log(self.trt, self._errors)

    def complaints(self) -> str:
        """The errors since the last call, as one line: the library's functions only fail."""
        text = "; ".join(dict.fromkeys(self._errors)) or "it does not say why"
        self._errors.clear()
        return text


@cache
def load_library(kind: PlanKind) -> PlanLibrary:
    """Import a library, once: it goes on using the first log that it is given.

    Raises BackendError when it cannot be used.
    """
    if problem := library_problem(kind):
        raise BackendError(problem)
    return PlanLibrary(kind)


def _installed(kind: PlanKind) -> tuple[str, str] | None:
    packaging = _PACKAGING[kind]
    if find_spec(packaging.module) is None:
        return None
    for wheel in packaging.wheels:
        try:
            return wheel, _numbers(version(wheel))
        except PackageNotFoundError:
            continue
    return None


def _numbers(text: str) -> str:
    """A version without what a repackaging adds: 10.13.3.9 of 10.13.3.9.post1."""
    return ".".join(part for part in text.split("+")[0].split(".") if part.isdecimal())


def _cuda_of(kind: PlanKind) -> int | None:
    found = _installed(kind)
    if found is None or "-cu" not in found[0]:
        return None
    return int(found[0].split("-cu")[1][:2])


def _log(trt: Any, errors: list[str]) -> Any:
    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                errors.append(" ".join(message.split()))
            else:
                logger.debug("%s", message)

    return Log()
