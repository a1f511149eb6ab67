"""libcuda and the packages of TensorRT as they may be, in place of what is really there."""

import ctypes
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest

from motionfit.inference import plan_library

RTX_4090 = ("NVIDIA GeForce RTX 4090", "8.9", 24 * 1024**3)
H100 = ("NVIDIA H100 80GB HBM3", "9.0", 80 * 1024**3)


class Driver:
    """A driver with some GPUs: each its name, compute capability, and bytes of memory."""

    def __init__(
        self,
        *gpus: tuple[str, str, int],
        status: int = 0,
        cuda: int = 13000,
        fails: Sequence[str] = (),
    ) -> None:
        self.gpus = gpus
        self.status = status
        self.cuda = cuda
        self.fails = fails

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("cu") and name in self.fails:
            return lambda *arguments: 999
        return super().__getattribute__(name)

    def cuInit(self, flags: int) -> int:
        return self.status

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = self.cuda
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = len(self.gpus)
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        name.value = self.gpus[device.value][0].encode()[: size - 1]
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:
        memory._obj.value = self.gpus[device.value][2]
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:
        major, minor = self.gpus[device.value][1].split(".")
        value._obj.value = int({75: major, 76: minor}[attribute])
        return 0


def put_in_place(monkeypatch: pytest.MonkeyPatch, driver: Driver | None) -> None:
    """Make libcuda ``driver``; None: there is no libcuda. Other libraries stay."""
    real = ctypes.CDLL

    def load(name: Any, *arguments: Any, **options: Any) -> Any:
        if name != "libcuda.so.1":
            return real(name, *arguments, **options)
        if driver is None:
            raise OSError(f"{name}: cannot open shared object file")
        return driver

    monkeypatch.setattr(ctypes, "CDLL", load)


def pretend_installed(monkeypatch: pytest.MonkeyPatch, wheels: Mapping[str, str]) -> None:
    """Make TensorRT's packages look installed: name -> version, such as tensorrt-cu13-bindings."""

    def version(name: str) -> str:
        if name not in wheels:
            raise PackageNotFoundError(name)
        return wheels[name]

    def find_spec(name: str) -> object:
        rtx = any(wheel.startswith("tensorrt-rtx") for wheel in wheels)
        full = any(not wheel.startswith("tensorrt-rtx") for wheel in wheels)
        return {"tensorrt": full, "tensorrt_rtx": rtx}.get(name, True) or None

    monkeypatch.setattr(plan_library, "version", version)
    monkeypatch.setattr(plan_library, "find_spec", find_spec)
