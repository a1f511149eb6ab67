"""What the NVIDIA driver says, asked directly: runtimes may fall back, or crash, without one."""

import ctypes
from dataclasses import dataclass
from typing import Any

# CUdevice_attribute, as cuda.h numbers them.
COMPUTE_CAPABILITY_MAJOR = 75
COMPUTE_CAPABILITY_MINOR = 76
MAX_NAME = 256


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """An NVIDIA GPU."""

    name: str
    compute_capability: str
    """Such as ``8.9``."""
    memory_bytes: int


class _DriverError(Exception):
    """Why the driver cannot be asked, as part of a sentence."""


def driver_problem() -> str | None:
    """Why nothing can run on an NVIDIA GPU here, as part of a sentence; None when it can."""
    try:
        driver = _started()
        count = _count(driver)
    except _DriverError as error:
        return str(error)
    return None if count else "the NVIDIA driver sees no GPU"


def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs that CUDA sees, in its order; none where the driver cannot be asked."""
    try:
        driver = _started()
        return tuple(_gpu(driver, index) for index in range(_count(driver)))
    except _DriverError:
        return ()


def cuda_version() -> tuple[int, int] | None:
    """The newest CUDA that the driver can run, such as (13, 0); None where it cannot be asked."""
    version = ctypes.c_int()
    try:
        _ask(_started(), "cuDriverGetVersion", ctypes.byref(version))
    except _DriverError:
        return None
    return version.value // 1000, version.value % 1000 // 10


def _started() -> Any:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise _DriverError(f"there is no NVIDIA driver ({error})") from error
    if status := driver.cuInit(0):
        raise _DriverError(f"the NVIDIA driver does not start (cuInit gives error {status})")
    return driver


def _count(driver: Any) -> int:
    count = ctypes.c_int()
    _ask(driver, "cuDeviceGetCount", ctypes.byref(count))
    return count.value


def _gpu(driver: Any, index: int) -> Gpu:
    device = ctypes.c_int()
    name = ctypes.create_string_buffer(MAX_NAME)
    memory = ctypes.c_size_t()
    major, minor = ctypes.c_int(), ctypes.c_int()
    _ask(driver, "cuDeviceGet", ctypes.byref(device), index)
    _ask(driver, "cuDeviceGetName", name, MAX_NAME, device)
    _ask(driver, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    for value, attribute in ((major, COMPUTE_CAPABILITY_MAJOR), (minor, COMPUTE_CAPABILITY_MINOR)):
        _ask(driver, "cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
    return Gpu(
        name=name.value.decode(errors="replace"),
        compute_capability=f"{major.value}.{minor.value}",
        memory_bytes=memory.value,
    )


def _ask(driver: Any, function: str, *arguments: Any) -> None:
    if status := getattr(driver, function)(*arguments):
        raise _DriverError(f"the NVIDIA driver does not answer ({function} gives error {status})")
