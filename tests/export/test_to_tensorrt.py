"""Plans built by TensorRT-RTX, which needs no GPU for that, and what is said where none can be."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motionfit.export import plan_network, to_tensorrt
from motionfit.export.timing_cache import timing_cache_file
from motionfit.export.to_tensorrt import (
    PlanOptions,
    parsed_layers,
    tensorrt_problem,
    write_plan,
)
from motionfit.inference.bundle import FP16, RTX_PLAN, sha256_of, sidecar
from motionfit.inference.cuda_driver import driver_problem, gpus
from motionfit.inference.errors import (
    BackendError,
    BundleError,
    MissingExtra,
    VerificationError,
)
from motionfit.inference.plan import PlanRecord, PlanTensor, Profile
from motionfit.inference.plan_library import PlanKind, installed_version, load_library
from tests.half_networks import DIM, LABELS, write_network
from tests.nvidia_driver import H100, Driver, pretend_installed, put_in_place

SMALL = PlanOptions(profile=Profile(min=1, opt=2, max=3), compute_capabilities=("8.9",))


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("onnx") / FP16)


def built(onnx: Path, output: Path, options: PlanOptions = SMALL) -> PlanRecord:
    return write_plan(onnx, output, kind=PlanKind.RTX, options=options)


def test_a_plan_is_written_with_a_record_of_what_it_is(onnx: Path, tmp_path: Path) -> None:
    plan = tmp_path / RTX_PLAN
    record = built(onnx, plan)
    assert sorted(path.name for path in tmp_path.iterdir()) == [RTX_PLAN, sidecar(RTX_PLAN)]
    assert PlanRecord.read(plan) == record
    assert record.plan_sha256 == sha256_of(plan)
    assert record.onnx_sha256 == sha256_of(onnx)
    assert record.version == installed_version(PlanKind.RTX)
    assert (record.precision, record.gpu) == ("float16", None)
    assert record.compute_capabilities == ("8.9",)
    assert record.profile == SMALL.profile
    assert record.inputs == (PlanTensor(name="frames", dtype="UINT8", shape=(None, 2, 8, 8, 3)),)
    assert {tensor.name: (tensor.dtype, tensor.shape) for tensor in record.outputs} == {
        "logits": ("FLOAT", (None, len(LABELS))),
        "embedding": ("FLOAT", (None, DIM)),
    }
    assert record.layers["convolution"] == {"HALF": 2}
    assert record.layers["activation"] == {"HALF": 1}


def test_a_plan_is_built_for_all_supported_gpus_unless_some_are_named(
    onnx: Path, tmp_path: Path
) -> None:
    any_gpu = built(onnx, tmp_path / "any.plan", PlanOptions())
    assert any_gpu.compute_capabilities == ("8.0", "8.6", "8.9", "12.0+")
    assert any_gpu.profile == Profile(min=1, opt=8, max=32)
    two = built(onnx, tmp_path / "two.plan", replace(SMALL, compute_capabilities=("7.5", "12.0")))
    assert two.compute_capabilities == ("7.5", "12.0")


def test_a_plan_replaces_an_older_one(onnx: Path, tmp_path: Path) -> None:
    plan = tmp_path / RTX_PLAN
    plan.write_bytes(b"old")
    (tmp_path / sidecar(RTX_PLAN)).write_text("old")
    assert built(onnx, plan).plan_sha256 == sha256_of(plan)


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [("float32", "float32", "2 FLOAT"), ("float16", "float32", "1 FLOAT, 1 HALF")],
)
def test_a_network_that_is_not_all_half_gives_no_plan(
    tmp_path: Path, first: str, second: str, counts: str
) -> None:
    onnx = write_network(tmp_path / "network.onnx", first=first, second=second)
    plan = tmp_path / "plans" / RTX_PLAN
    plan.parent.mkdir()
    with pytest.raises(VerificationError, match=f"must all be HALF.*: {counts}; .*--fp16"):
        built(onnx, plan)
    assert list(plan.parent.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 100, -60])
def test_a_truncated_onnx_file_is_an_error_that_names_it(
    onnx: Path, tmp_path: Path, kept: int
) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(onnx.read_bytes()[:kept])
    with pytest.raises(BundleError, match=r"TensorRT-RTX cannot read .*cut\.onnx: .*again"):
        built(cut, tmp_path / RTX_PLAN)
    assert list(tmp_path.iterdir()) == [cut]
    with pytest.raises(BundleError, match=r"cannot read .*none\.onnx"):
        parsed_layers(tmp_path / "none.onnx", kind=PlanKind.RTX)


def test_a_compute_capability_that_is_unknown_is_refused_with_those_that_are_not(
    onnx: Path, tmp_path: Path
) -> None:
    options = PlanOptions(compute_capabilities=("8.9", "9.0"))
    with pytest.raises(BackendError, match=r"capability 9\.0, only for 7\.5, 8\.0, .*12\.1"):
        built(onnx, tmp_path / RTX_PLAN, options)
    assert list(tmp_path.iterdir()) == []


def test_a_profile_that_the_library_does_not_take_is_told(
    onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = [(count, 2, 8, 8, 3) for count in (4, 1, 1)]
    monkeypatch.setattr(plan_network, "_shapes", lambda *_: shapes)
    with pytest.raises(BackendError, match="does not take the batch sizes: .*"):
        built(onnx, tmp_path / RTX_PLAN)


def test_a_build_that_fails_is_told_with_the_librarys_reason(
    onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_profile(self: Any, options: PlanOptions) -> Any:
        return self._builder.create_builder_config()

    monkeypatch.setattr(plan_network.PlanNetwork, "_config", without_profile)
    with pytest.raises(BackendError, match="cannot build a plan: .*no optimization profile"):
        built(onnx, tmp_path / RTX_PLAN)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(
    onnx: Path, tmp_path: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    code = f"""
import resource, signal
from pathlib import Path
from motionfit.export.to_tensorrt import *
from motionfit.inference.plan_library import PlanKind
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write_plan(
        Path({str(onnx)!r}), Path({str(tmp_path / RTX_PLAN)!r}), kind=PlanKind.RTX,
        options=PlanOptions(compute_capabilities=("8.9",)),
    )
except OSError as error:
    print(error.strerror)
"""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "File too large\n"
    assert contents(tmp_path) == {}


def test_what_is_in_the_way_of_a_plan_is_one_line_with_what_to_run_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = {"tensorrt-cu13-bindings": "11.4.0.106"}
    there = r"copy the bundle there and run  motionfit-export BUNDLE --tensorrt"
    put_in_place(monkeypatch, None)
    pretend_installed(monkeypatch, {})
    problem = tensorrt_problem(PlanKind.TENSORRT) or ""
    assert "TensorRT is not installed" in problem
    assert '"motionfit[tensorrt]"; there is no NVIDIA driver' in problem
    assert problem.endswith(there)
    assert tensorrt_problem(PlanKind.RTX) == (
        'TensorRT-RTX is not installed: run  pip install "motionfit[rtx]"'
    )
    pretend_installed(monkeypatch, here)
    problem = tensorrt_problem(PlanKind.TENSORRT) or ""
    assert problem.startswith("there is no NVIDIA driver")
    assert problem.endswith(there)
    put_in_place(monkeypatch, Driver(H100))
    assert tensorrt_problem(PlanKind.TENSORRT) is None
    pretend_installed(monkeypatch, {})
    assert tensorrt_problem(PlanKind.TENSORRT) == (
        'TensorRT is not installed: run  pip install "motionfit[tensorrt]"'
    )
    pretend_installed(monkeypatch, {"tensorrt": "12.1.0"})
    assert "works with 10.13 to below 12.0" in (tensorrt_problem(PlanKind.TENSORRT) or "")


@pytest.mark.parametrize("kind", PlanKind)
def test_a_missing_extra_is_named(
    onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: PlanKind
) -> None:
    pretend_installed(monkeypatch, {})
    with pytest.raises(MissingExtra, match=rf'"motionfit\[{kind.extra}\]"'):
        write_plan(onnx, tmp_path / "plan", kind=kind, options=PlanOptions())


def test_without_a_gpu_full_tensorrt_is_not_even_imported(
    onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_installed(monkeypatch, {"tensorrt-cu13-bindings": "11.4.0.106"})
    put_in_place(monkeypatch, None)

    def refuse(kind: PlanKind) -> None:
        raise AssertionError("TensorRT was loaded")

    monkeypatch.setattr(to_tensorrt, "load_library", refuse)
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        write_plan(onnx, tmp_path / "plan", kind=PlanKind.TENSORRT, options=PlanOptions())


class FullLibrary:
    """TensorRT-RTX in the place of full TensorRT: its interface without a GPU's answers."""

    kind = PlanKind.TENSORRT

    def __init__(self) -> None:
        rtx = load_library(PlanKind.RTX)
        self.trt = rtx.trt
        self.log = rtx.log
        self.complaints = rtx.complaints


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> FullLibrary:
    """A machine with an H100 and TensorRT, whose builder is TensorRT-RTX's."""
    library = FullLibrary()
    pretend_installed(monkeypatch, {"tensorrt-cu13-bindings": "10.13.3.9"})
    put_in_place(monkeypatch, Driver(H100))
    monkeypatch.setattr(to_tensorrt, "load_library", lambda kind: library)
    monkeypatch.setattr(to_tensorrt, "_inspected", lambda *_: {"CaskConvolution": {"HALF": 2}})
    return library


def test_a_plan_of_full_tensorrt_names_the_gpu_that_it_is_for(
    onnx: Path, tmp_path: Path, full: FullLibrary
) -> None:
    record = write_plan(onnx, tmp_path / "p", kind=PlanKind.TENSORRT, options=PlanOptions())
    assert record.gpu == gpus()[0]
    assert record.compute_capabilities == ()
    assert record.engine_layers == {"CaskConvolution": {"HALF": 2}}
    assert PlanRecord.read(tmp_path / "p") == record
    with pytest.raises(BackendError, match=r"GPU at hand; .*motionfit\[rtx\]"):
        write_plan(onnx, tmp_path / "q", kind=PlanKind.TENSORRT, options=SMALL)


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
def test_what_was_measured_is_kept_for_the_gpu_and_version_and_used_again(
    onnx: Path, tmp_path: Path, full: FullLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache"
    options = PlanOptions(timing_cache=folder)
    write_plan(onnx, tmp_path / "p", kind=PlanKind.TENSORRT, options=options)
    path = timing_cache_file(folder, version="10.13.3.9", gpu=gpus()[0])
    assert list(folder.iterdir()) == [path]
    assert path.name == "tensorrt-10.13.3.9-NVIDIA-H100-80GB-HBM3-9.0.timing"
    path.write_bytes(path.read_bytes()[:-1])
    write_plan(onnx, tmp_path / "p", kind=PlanKind.TENSORRT, options=options)
    assert "is damaged" in caplog.text
    caplog.clear()
    write_plan(onnx, tmp_path / "p", kind=PlanKind.TENSORRT, options=options)
    assert caplog.text == ""


class RefusedOnce:
    """A builder's configuration that refuses the first timing cache, as one of another driver."""

    def __init__(self) -> None:
        self.caches: list[bytes] = []

    def create_timing_cache(self, content: bytes) -> bytes:
        return content

    def set_timing_cache(self, cache: bytes, *, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.caches.append(cache)
        return len(self.caches) > 1


def test_a_timing_cache_that_tensorrt_refuses_is_replaced_by_an_empty_one(
    onnx: Path, tmp_path: Path, full: FullLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    network: Any = plan_network.PlanNetwork(onnx, library=full)  # type: ignore[arg-type]
    config = RefusedOnce()
    path = timing_cache_file(tmp_path, version="10.13.3.9", gpu=gpus()[0])
    plan_network.store_timing_cache(path, b"of another driver")
    assert network._use_timing_cache(config, tmp_path) == path
    assert config.caches == [b"of another driver", b""]
    assert f"building without {path}" in caplog.text


def test_a_library_that_does_not_start_is_told(
    onnx: Path, tmp_path: Path, full: FullLibrary
) -> None:
    def fail(log: Any) -> None:  # what 10.13 and 11.4 do where CUDA does not start
        log.log(log.Severity.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    full.trt = type("trt", (), {"Builder": staticmethod(fail)})
    with pytest.raises(BackendError, match="TensorRT does not start: CUDA initialization failure"):
        write_plan(onnx, tmp_path / "p", kind=PlanKind.TENSORRT, options=PlanOptions())


class Inspected:
    """What TensorRT makes of a plan on a GPU, as far as the inspector is concerned."""

    def __init__(self, information: dict[str, Any]) -> None:
        self.information = information
        self.shape: tuple[int, ...] = ()

    def deserialize_cuda_engine(self, plan: Any) -> "Inspected":
        return self

    def create_execution_context(self) -> "Inspected":
        return self

    def create_engine_inspector(self) -> "Inspected":
        return self

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, 2, 8, 8, 3)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def get_engine_information(self, form: Any) -> str:
        return json.dumps(self.information)


@pytest.mark.parametrize(("word", "fails"), [("Half", False), ("Float", True)])
def test_what_was_built_is_asked_of_the_inspector_for_the_best_batch(
    onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, fails: bool
) -> None:
    layer = {"LayerType": "CaskConvolution", "Weights": {"Type": word, "Count": 9}}
    engine = Inspected({"Layers": [layer]})
    library = FullLibrary()
    real = library.trt
    library.trt = type("trt", (), {"LayerInformationFormat": real.LayerInformationFormat})
    library.trt.Runtime = lambda log: engine
    if fails:
        with pytest.raises(VerificationError, match="1 convolutions in FP32"):
            to_tensorrt._inspected(b"", library, Profile(opt=5))  # type: ignore[arg-type]
    else:
        found = to_tensorrt._inspected(b"", library, Profile(opt=5))  # type: ignore[arg-type]
        assert found == {"CaskConvolution": {"HALF": 1}}
        assert engine.shape == (5, 2, 8, 8, 3)


@pytest.mark.skipif(driver_problem() is None, reason="a GPU is there")
def test_an_engine_that_cannot_be_loaded_is_told() -> None:
    with pytest.raises(BackendError, match="TensorRT-RTX cannot load what it built: .*35"):
        to_tensorrt._inspected(b"no plan", load_library(PlanKind.RTX), Profile())
