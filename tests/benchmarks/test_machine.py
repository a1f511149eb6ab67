import getpass
import os
import platform
import socket
from pathlib import Path

import pytest

from motionfit.benchmarks import machine


def test_the_record_says_what_matters_for_speed() -> None:
    found = machine.describe()
    assert found.cpu
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.memory_bytes > 100_000_000
    assert found.python == platform.python_version()
    assert found.load_average >= 0


def test_the_record_names_no_host_no_user_and_no_path() -> None:
    text = machine.describe().model_dump_json()
    assert socket.gethostname() not in text
    assert f'"{getpass.getuser()}"' not in text
    assert str(Path.cwd()) not in text
    assert str(Path.home()) not in text


def test_libraries_are_those_installed() -> None:
    found = machine.libraries()
    assert {"motionfit", "av", "numpy"} <= set(found)
    assert "tensorrt" not in found or found["tensorrt"]


def fake_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_gpu_is_described_through_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = r"NVIDIA H100 80GB HBM3, 580.1, 81559, 9.0\nNVIDIA GB10, 580.1, [N/A], 12.1"
    fake_smi(tmp_path, monkeypatch, f"printf '{lines}\\n'")
    first, second = machine.describe().gpus
    assert (first.name, first.driver) == ("NVIDIA H100 80GB HBM3", "580.1")
    assert (first.memory_mib, first.compute_capability) == (81559, "9.0")
    assert second.memory_mib is None


@pytest.mark.parametrize("script", ["echo No devices were found; exit 6", "echo nonsense"])
def test_without_a_gpu_there_is_none(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_smi(tmp_path, monkeypatch, script)
    assert machine.describe().gpus == ()
