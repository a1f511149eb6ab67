"""Plans without TensorRT: their records, and whether they would run here."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motionfit.inference.bundle import RTX_PLAN, sidecar
from motionfit.inference.cuda_driver import Gpu
from motionfit.inference.errors import BackendError, BundleError, ProfileError
from motionfit.inference.plan import PlanRecord, PlanTensor, Profile, why_not_here
from motionfit.inference.plan_library import (
    PlanKind,
    PlanLibrary,
    gpu_problem,
    installed_version,
    library_problem,
    load_library,
)
from tests.nvidia_driver import H100, RTX_4090, Driver, pretend_installed, put_in_place

RTX = PlanRecord(
    kind=PlanKind.RTX,
    version="1.7.1.116",
    precision="float16",
    layers={"convolution": {"HALF": 37}},
    engine_layers=None,
    gpu=None,
    compute_capabilities=("8.6", "8.9", "12.0+"),
    profile=Profile(min=1, opt=4, max=16),
    inputs=(PlanTensor(name="frames", dtype="UINT8", shape=(None, 16, 112, 112, 3)),),
    outputs=(PlanTensor(name="logits", dtype="FLOAT", shape=(None, 101)),),
    onnx_sha256="a" * 64,
    plan_sha256="b" * 64,
)
FULL = replace(
    RTX,
    kind=PlanKind.TENSORRT,
    version="10.13.3.9",
    engine_layers={"CaskConvolution": {"HALF": 37}},
    gpu=Gpu(name=H100[0], compute_capability="9.0", memory_bytes=H100[2]),
    compute_capabilities=(),
)
BOTH = {"tensorrt-rtx-cu13-bindings": "1.7.1.116", "tensorrt-cu13-bindings": "10.13.3.9"}


@pytest.mark.parametrize("record", [RTX, FULL])
def test_a_record_survives_its_sidecar(tmp_path: Path, record: PlanRecord) -> None:
    plan = tmp_path / record.kind.file
    plan.with_name(sidecar(plan.name)).write_text(json.dumps(record.to_json()))
    assert PlanRecord.read(plan) == record


def test_the_sidecar_of_an_rtx_plan_is_this_json() -> None:
    values = json.loads(json.dumps(RTX.to_json()))
    assert values == {
        "format": 1,
        "kind": "tensorrt-rtx",
        "version": "1.7.1.116",
        "precision": "float16",
        "layers": {"convolution": {"HALF": 37}},
        "engine_layers": None,
        "gpu": None,
        "compute_capabilities": ["8.6", "8.9", "12.0+"],
        "profile": {"min": 1, "opt": 4, "max": 16},
        "inputs": [{"name": "frames", "dtype": "UINT8", "shape": [None, 16, 112, 112, 3]}],
        "outputs": [{"name": "logits", "dtype": "FLOAT", "shape": [None, 101]}],
        "onnx_sha256": "a" * 64,
        "plan_sha256": "b" * 64,
    }


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"format": 2}, "its format is 2, not 1"),
        ({"kind": "torch"}, "torch"),
        ({"profile": {"min": 4, "opt": 1, "max": 2}}, "MIN <= OPT"),
        ({"gpu": {"name": "GPU"}}, "compute_capability"),
        ({"inputs": [3]}, "describe a plan"),
        ({"unheard": 1}, "unheard"),
    ],
)
def test_a_sidecar_that_is_damaged_is_an_error_that_says_where(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    (tmp_path / sidecar(RTX_PLAN)).write_text(json.dumps(RTX.to_json() | changed))
    with pytest.raises(BundleError, match=reason) as error:
        PlanRecord.read(tmp_path / RTX_PLAN)
    assert sidecar(RTX_PLAN) in str(error.value)
    assert "export it again" in str(error.value)


@pytest.mark.parametrize("text", [None, "", "{}", "[]", "no JSON"])
def test_a_sidecar_that_is_missing_or_none_is_an_error(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / sidecar(RTX_PLAN)).write_text(text)
    with pytest.raises(BundleError, match=r"model\.rtx\.plan\.json.*export it again"):
        PlanRecord.read(tmp_path / RTX_PLAN)


@pytest.mark.parametrize("sizes", [(2, 1, 3), (1, 4, 3), (0, 1, 1), (4, 4, 2)])
def test_batch_sizes_out_of_order_are_refused_with_what_is_allowed(
    sizes: tuple[int, int, int],
) -> None:
    least, best, most = sizes
    with pytest.raises(ProfileError, match=r"1 <= MIN <= OPT <= MAX, got (\d ?){3}"):
        Profile(min=least, opt=best, max=most)


@pytest.mark.parametrize(
    ("count", "parts"),
    [(1, [1]), (32, [32]), (33, [17, 16]), (70, [24, 23, 23]), (64, [32, 32])],
)
def test_more_clips_than_a_plan_takes_go_in_even_parts(count: int, parts: list[int]) -> None:
    assert Profile(min=1, opt=8, max=32).parts(count) == parts


@pytest.mark.parametrize(
    ("count", "parts"), [(3, [5]), (5, [5]), (9, [5, 5]), (11, [6, 5]), (17, [6, 6, 5])]
)
def test_no_part_is_smaller_than_the_plan_takes(count: int, parts: list[int]) -> None:
    assert Profile(min=5, opt=6, max=8).parts(count) == parts


def test_a_plan_made_for_what_is_here_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, BOTH)
    put_in_place(monkeypatch, Driver(RTX_4090))
    assert why_not_here(RTX) is None
    put_in_place(monkeypatch, Driver(("NVIDIA RTX 6090", "13.1", 1)))
    assert why_not_here(RTX) is None
    put_in_place(monkeypatch, Driver(H100))
    assert why_not_here(FULL) is None


@pytest.mark.parametrize(
    ("record", "wheels", "driver", "reason"),
    [
        (FULL, {}, Driver(H100), r'TensorRT is not installed: .*"motionfit\[tensorrt\]"'),
        (RTX, {}, Driver(RTX_4090), r'TensorRT-RTX is not installed: .*"motionfit\[rtx\]"'),
        (
            FULL,
            {"tensorrt-cu13-bindings": "11.4.0.106"},
            Driver(H100),
            r"TensorRT 10\.13\.3\.9 built it and 11\.4\.0\.106 is installed: export it again .*"
            r'pip install "tensorrt==10\.13\.3\.9"',
        ),
        (FULL, {"tensorrt": "10.9.0.34"}, Driver(H100), r"works with 10\.13 to below 12\.0"),
        (RTX, {"tensorrt-rtx": "1.4.0.76"}, Driver(RTX_4090), r"works with 1\.7 to below 2\.0"),
        (FULL, BOTH, None, "there is no NVIDIA driver"),
        (FULL, BOTH, Driver(), "sees no GPU"),
        (FULL, BOTH, Driver(H100, fails=["cuDeviceGetName"]), "does not describe its GPU"),
        (
            FULL,
            BOTH,
            Driver(RTX_4090),
            r"built for NVIDIA H100 .*\(9\.0\) and this machine has NVIDIA GeForce.*\(8\.9\): "
            "export it again on this machine",
        ),
        (
            RTX,
            BOTH,
            Driver(H100),
            r"built for compute capability 8\.6, 8\.9, 12\.0\+ and .*H100.*--compute-capability 9",
        ),
        (RTX, BOTH, Driver(RTX_4090, cuda=12080), r"driver is for CUDA 12\.8 .*needs CUDA 13"),
    ],
)
def test_a_plan_that_cannot_run_here_is_told_why_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
    record: PlanRecord,
    wheels: dict[str, str],
    driver: Driver | None,
    reason: str,
) -> None:
    pretend_installed(monkeypatch, wheels)
    put_in_place(monkeypatch, driver)
    found = why_not_here(record)
    assert found is not None
    with pytest.raises(BackendError, match=reason):
        raise BackendError(found)


def test_everything_that_is_in_the_way_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, {})
    put_in_place(monkeypatch, None)
    found = why_not_here(FULL)
    assert found is not None
    assert "TensorRT is not installed" in found
    assert "no NVIDIA driver" in found


def test_a_plan_needs_cuda_bindings(monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_place(monkeypatch, Driver(RTX_4090))
    pretend_installed(monkeypatch, BOTH)
    known = {"tensorrt", "tensorrt_rtx"}

    def find_spec(name: str) -> object:
        if name in known:
            return name
        raise ModuleNotFoundError(name)  # as for cuda.bindings where there is no cuda

    monkeypatch.setattr("motionfit.inference.plan_library.find_spec", find_spec)
    assert why_not_here(RTX) == (
        'cuda-bindings is not installed: run  pip install "motionfit[rtx]"'
    )


def test_a_version_is_known_without_what_a_repackaging_adds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend_installed(monkeypatch, {"tensorrt": "10.13.3.9.post1"})
    assert installed_version(PlanKind.TENSORRT) == "10.13.3.9"
    assert library_problem(PlanKind.TENSORRT) is None
    put_in_place(monkeypatch, Driver(H100, cuda=12080))
    assert gpu_problem(PlanKind.TENSORRT) is None  # which CUDA it needs cannot be told


def test_a_library_that_is_not_installed_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, {"tensorrt-lean": "11.4.0.106"})
    with pytest.raises(BackendError, match=r"not installed: .*motionfit\[tensorrt\]"):
        load_library(PlanKind.TENSORRT)


def test_a_library_that_is_installed_in_part_is_an_error_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(name: str) -> None:
        raise ImportError("libnvinfer.so.10: cannot open shared object file")

    monkeypatch.setattr("motionfit.inference.plan_library.import_module", fail)
    with pytest.raises(BackendError, match=r"libnvinfer.*--force-reinstall .motionfit\[tensorrt\]"):
        PlanLibrary(PlanKind.TENSORRT)
