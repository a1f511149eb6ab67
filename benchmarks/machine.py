"""The machine that a result was measured on: what matters for speed, and nothing that names it."""

import os
import platform
import re
import subprocess
from pathlib import Path

from motionfit.inference.versions import installed_versions
from motionfit.training.json_record import Record

LIBRARIES = (
    "motionfit",
    "av",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-contrib-python-headless",
    "openvino",
    "tensorrt",
    "tensorrt-rtx",
    "torch",
    "torchcodec",
    "torchvision",
)
NVIDIA_SMI = (
    "nvidia-smi",
    "--query-gpu=name,driver_version,memory.total,compute_cap",
    "--format=csv,noheader,nounits",
)


class Gpu(Record):
    """A GPU, as nvidia-smi sees it."""

    name: str
    driver: str
    memory_mib: int | None
    """null where the GPU shares the machine's memory."""
    compute_capability: str


class Machine(Record):
    """Hardware and system. Holds no host name, no user name and no path."""

    cpu: str
    """Model name of the CPU."""
    architecture: str
    cores: int
    """Logical cores that this process may run on."""
    cpu_quota: float | None
    """Cores' worth of time that the control group allows; null without a limit."""
    memory_bytes: int
    """Physical memory, or the control group's limit where that is less."""
    governor: str | None
    """Frequency governor of the first core; null where it there is none (virtual machines)."""
    load_average: float
    """Processes wanting a core, mean of the minute before the measurement."""
    os: str
    kernel: str
    python: str
    gpus: tuple[Gpu, ...]

    @property
    def hardware(self) -> tuple[object, ...]:
        """What must be equal for times of two results to be comparable."""
        gpus = tuple(gpu.name for gpu in self.gpus)
        return (self.cpu, self.architecture, self.cores, self.cpu_quota, gpus)


def describe() -> Machine:
    """The machine that this process runs on, now."""
    return Machine(
        cpu=_cpu_model(),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        cpu_quota=_cpu_quota(_read("/sys/fs/cgroup/cpu.max")),
        memory_bytes=_memory_bytes(_read("/sys/fs/cgroup/memory.max")),
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        load_average=round(os.getloadavg()[0], 2),
        os=_os_name(),
        kernel=".".join(re.findall(r"\d+", platform.release())[:2]),
        python=platform.python_version(),
        gpus=_gpus(),
    )


def libraries() -> dict[str, str]:
    """Versions of the installed libraries that decide speed or answers."""
    return installed_versions(LIBRARIES)


def _cpu_model() -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo") or "", re.MULTILINE)
    return match[1].strip() if match else platform.processor() or platform.machine()


def _cpu_quota(cpu_max: str | None) -> float | None:
    quota, _, period = (cpu_max or "max").partition(" ")
    return None if quota == "max" else round(int(quota) / int(period), 3)


def _memory_bytes(memory_max: str | None) -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return physical if memory_max in (None, "max") else min(physical, int(memory_max))


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _gpus() -> tuple[Gpu, ...]:
    try:
        listed = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [line.split(", ") for line in listed.stdout.splitlines() if line.count(", ") == 3]
    return tuple(
        Gpu(
            name=name,
            driver=driver,
            memory_mib=int(memory) if memory.isdigit() else None,
            compute_capability=capability,
        )
        for name, driver, memory, capability in rows
    )


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
