"""The runner of plans. Where there is no GPU, CUDA and TensorRT's engine are stood in for: memory
is the machine's own, work is done when the stream is waited for, and ONNX Runtime computes.
"""

import ctypes
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray

from motionfit.export.to_tensorrt import PlanOptions, tensorrt_problem, write_plan
from motionfit.inference import plan_library, runner_tensorrt
from motionfit.inference.bundle import MANIFEST, MODEL, RTX_PLAN, Bundle, sha256_of, sidecar
from motionfit.inference.cuda_driver import driver_problem
from motionfit.inference.cuda_stream import CudaStream
from motionfit.inference.errors import BackendError, BundleError
from motionfit.inference.plan import PlanRecord, Profile, why_not_here
from motionfit.inference.plan_library import PlanKind, load_library
from motionfit.inference.runner import Backend, Device, open_runner
from motionfit.inference.runner_tensorrt import TensorRtRunner
from motionfit.inference.tensors import Output
from tests.half_networks import DIM, LABELS, SPEC, network
from tests.nvidia_driver import H100, RTX_4090, Driver, put_in_place

REQUIRE_GPU = "MOTIONFIT_REQUIRE_GPU"
PROFILE = Profile(min=1, opt=2, max=4)
UNLOADABLE = b"a plan that TensorRT does not load"


class HostCuda:
    """cuda.bindings.runtime on the machine's own memory. What is queued happens when waited for."""

    cudaError_t = SimpleNamespace(cudaSuccess=0)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)

    def __init__(self) -> None:
        self.memory: dict[int, NDArray[np.uint8]] = {}
        self.streams: set[int] = set()
        self.queue: list[Callable[[], object]] = []
        self.refuses = ""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("cuda") and name == self.refuses:
            return lambda *arguments: (2, None)
        return found

    def cudaStreamCreate(self) -> tuple[int, int]:
        self.streams.add(7)
        return 0, 7

    def cudaStreamDestroy(self, stream: int) -> tuple[int]:
        self.streams.remove(stream)
        return (0,)

    def cudaMalloc(self, size: int) -> tuple[int, int]:
        buffer = np.zeros(size, np.uint8)
        self.memory[buffer.ctypes.data] = buffer
        return 0, buffer.ctypes.data

    def cudaFree(self, address: int) -> tuple[int]:
        del self.memory[address]
        return (0,)

    def cudaMemcpyAsync(
        self, to: int, source: int, size: int, kind: int, stream: int
    ) -> tuple[int]:
        device = to if kind == 1 else source
        assert stream in self.streams
        assert size <= self.memory[device].nbytes
        self.queue.append(lambda: ctypes.memmove(to, source, size))
        return (0,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[int]:
        while self.queue:
            self.queue.pop(0)()
        return (0,)

    def cudaGetErrorString(self, status: int) -> tuple[int, bytes]:
        return 0, b"out of memory"


class Engine:
    """TensorRT's engine and its context, whose plan is an ONNX file."""

    def __init__(self, plan: bytes, cuda: HostCuda) -> None:
        self.session = onnxruntime.InferenceSession(plan, providers=["CPUExecutionProvider"])
        self.cuda = cuda
        self.inputs = self.session.get_inputs()
        self.tensors = [*self.inputs, *self.session.get_outputs()]
        self.num_io_tensors = len(self.tensors)
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.batches: list[int] = []

    def _tensor(self, name: str) -> Any:
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def get_tensor_name(self, index: int) -> str:
        return str(self.tensors[index].name)

    def get_tensor_shape(self, name: str) -> list[int]:
        return [size if isinstance(size, int) else -1 for size in self._tensor(name).shape]

    def get_tensor_mode(self, name: str) -> Any:
        modes = load_library(PlanKind.RTX).trt.TensorIOMode
        return modes.INPUT if self._tensor(name) in self.inputs else modes.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        names = {"tensor(uint8)": "UINT8", "tensor(float)": "FLOAT", "tensor(float16)": "HALF"}
        return SimpleNamespace(name=names[self._tensor(name).type])

    def create_execution_context(self) -> "Engine":
        return self

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return shape[0] != 13

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream in self.cuda.streams
        self.batches.append(self.shape[0])
        self.cuda.queue.append(self._compute)
        return True

    def _compute(self) -> None:
        memory = self.cuda.memory[self.addresses["frames"]]
        frames = memory[: np.prod(self.shape)].reshape(self.shape)
        for tensor, values in zip(
            self.session.get_outputs(), self.session.run(None, {"frames": frames}), strict=True
        ):
            ctypes.memmove(self.addresses[tensor.name], values.ctypes.data, values.nbytes)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> HostCuda:
    """A machine with a GeForce, its memory and TensorRT-RTX's engine stood in for."""
    stand_in = HostCuda()
    put_in_place(monkeypatch, Driver(RTX_4090))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", stand_in)
    library = load_library(PlanKind.RTX)

    class Runtime:
        def __init__(self, log: Any) -> None:
            assert log is library.log

        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            return None if plan == UNLOADABLE else Engine(plan, stand_in)

    loaded = SimpleNamespace(
        trt=SimpleNamespace(Runtime=Runtime, TensorIOMode=library.trt.TensorIOMode),
        log=library.log,
        complaints=library.complaints,
    )
    monkeypatch.setattr(runner_tensorrt, "load_library", lambda kind: loaded)
    return stand_in


def write_bundle(folder: Path, *, plan: bytes, profile: Profile = PROFILE) -> Bundle:
    """A bundle with an RTX plan, in the place of which is an ONNX file."""
    folder.mkdir(exist_ok=True)
    (folder / MODEL).write_bytes(network(first="float32", second="float32"))
    (folder / RTX_PLAN).write_bytes(plan)
    record = PlanRecord(
        kind=PlanKind.RTX,
        version=str(plan_library.installed_version(PlanKind.RTX)),
        precision="float16",
        layers={"convolution": {"HALF": 2}},
        engine_layers=None,
        gpu=None,
        compute_capabilities=("8.9",),
        profile=profile,
        inputs=(),
        outputs=(),
        onnx_sha256="0" * 64,
        plan_sha256=sha256_of(folder / RTX_PLAN),
    )
    (folder / sidecar(RTX_PLAN)).write_text(json.dumps(record.to_json()))
    names = (MODEL, RTX_PLAN, sidecar(RTX_PLAN))
    manifest = {
        "format": 1,
        "name": "two-convolutions",
        "spec": SPEC.to_json(),
        "labels": LABELS,
        "files": {name: {"sha256": sha256_of(folder / name)} for name in names},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return Bundle.open(folder)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "bundle", plan=network())


@pytest.fixture
def runner(bundle: Bundle, cuda: HostCuda) -> Iterator[TensorRtRunner]:
    opened = TensorRtRunner(bundle, kind=PlanKind.RTX)
    yield opened
    opened.close()


def clips(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, 2, 8, 8, 3), dtype=np.uint8)


def expected(frames: NDArray[np.uint8]) -> Output:
    session = onnxruntime.InferenceSession(network(), providers=["CPUExecutionProvider"])
    logits, embedding = session.run(["logits", "embedding"], {"frames": frames})
    return Output(logits, embedding)


def check(output: Output, frames: NDArray[np.uint8]) -> None:
    wanted = expected(np.ascontiguousarray(frames))
    np.testing.assert_allclose(output.logits, wanted.logits, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(output.embedding, wanted.embedding, rtol=1e-3, atol=1e-3)
    assert output.logits.dtype == output.embedding.dtype == np.float32
    assert output.embedding.shape == (len(frames), DIM)


@pytest.mark.parametrize(("count", "batches"), [(1, [1]), (4, [4]), (5, [3, 2]), (11, [4, 4, 3])])
def test_any_number_of_clips_is_run_in_batches_that_the_plan_takes(
    runner: TensorRtRunner, count: int, batches: list[int]
) -> None:
    check(runner.run(clips(count)), clips(count))
    assert runner._engine.batches == batches


def test_frames_in_any_memory_layout_are_taken(runner: TensorRtRunner) -> None:
    check(runner.run(clips(6)[::-2, :, ::-1]), clips(6)[::-2, :, ::-1])


def test_an_answer_stays_when_the_next_one_is_computed(runner: TensorRtRunner) -> None:
    first = runner.run(clips(3))
    runner.run(clips(2))
    gc.collect()
    check(first, clips(3))


def test_frames_of_another_shape_are_refused(runner: TensorRtRunner) -> None:
    with pytest.raises(ValueError, match=r"must be \(N, 2, 8, 8, 3\)"):
        runner.run(np.zeros((1, 2, 8, 9, 3), np.uint8))


@pytest.mark.parametrize(("count", "batches"), [(1, [2]), (2, [2]), (4, [2, 2]), (7, [3, 2, 2])])
def test_fewer_clips_than_the_plan_takes_are_filled_up(
    tmp_path: Path, cuda: HostCuda, count: int, batches: list[int]
) -> None:
    bundle = write_bundle(tmp_path / "a", plan=network(), profile=Profile(min=2, opt=2, max=3))
    runner = TensorRtRunner(bundle, kind=PlanKind.RTX)
    check(runner.run(clips(count)), clips(count))
    assert runner._engine.batches == batches


def test_closing_frees_the_memory_of_the_gpu(bundle: Bundle, cuda: HostCuda) -> None:
    runner = TensorRtRunner(bundle, kind=PlanKind.RTX)
    assert sorted(buffer.nbytes for buffer in cuda.memory.values()) == sorted(
        (4 * 2 * 8 * 8 * 3, 4 * 4 * len(LABELS), 4 * 4 * DIM)
    )
    runner.close()
    runner.close()
    assert (cuda.memory, cuda.streams) == ({}, set())


@pytest.mark.parametrize("refused", ["cudaStreamCreate", "cudaMalloc"])
def test_a_gpu_that_refuses_is_an_error_with_its_reason_and_nothing_stays(
    bundle: Bundle, cuda: HostCuda, refused: str
) -> None:
    cuda.refuses = refused
    with pytest.raises(BackendError, match=f"refuses {refused}: out of memory"):
        TensorRtRunner(bundle, kind=PlanKind.RTX)
    assert (cuda.memory, cuda.streams) == ({}, set())


def test_a_batch_that_tensorrt_refuses_is_an_error(tmp_path: Path, cuda: HostCuda) -> None:
    bundle = write_bundle(tmp_path / "a", plan=network(), profile=Profile(opt=2, max=16))
    with pytest.raises(BackendError, match="tensorrt-rtx/cuda cannot run 13 clips"):
        TensorRtRunner(bundle, kind=PlanKind.RTX).run(clips(13))


def test_a_plan_that_is_not_what_its_bundle_says_is_refused(tmp_path: Path, cuda: HostCuda) -> None:
    with pytest.raises(BackendError, match=r"TensorRT-RTX cannot load .*model\.rtx\.plan"):
        TensorRtRunner(write_bundle(tmp_path / "a", plan=UNLOADABLE), kind=PlanKind.RTX)
    other = write_bundle(tmp_path / "b", plan=network())
    with pytest.raises(BundleError, match="for 3 labels"):
        TensorRtRunner(replace(other, labels=LABELS[:3]), kind=PlanKind.RTX)


def test_a_plan_that_finds_no_room_is_an_error(
    bundle: Bundle, cuda: HostCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "create_execution_context", lambda *_: None)
    with pytest.raises(BackendError, match=r"TensorRT-RTX cannot run .*model\.rtx\.plan"):
        TensorRtRunner(bundle, kind=PlanKind.RTX)


def test_types_that_are_not_the_bundles_are_refused(
    bundle: Bundle, cuda: HostCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "get_tensor_dtype", lambda *_: SimpleNamespace(name="HALF"))
    with pytest.raises(BundleError, match="expected {'frames': 'UINT8', 'logits': 'FLOAT'"):
        TensorRtRunner(bundle, kind=PlanKind.RTX)


def test_a_plan_that_was_made_for_this_gpu_is_what_auto_takes(
    bundle: Bundle, cuda: HostCuda
) -> None:
    for backend in (Backend.AUTO, Backend.TENSORRT):
        runner = open_runner(bundle, backend=backend)
        assert runner.name == "tensorrt-rtx/cuda"
        check(runner.run(clips(2)), clips(2))
        runner.close()
    on_the_cpu = open_runner(bundle, device=Device.CPU)
    assert on_the_cpu.name.endswith("/cpu")


def test_a_plan_for_another_gpu_is_left_to_those_who_ask_for_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place(monkeypatch, Driver(H100))
    runner = open_runner(bundle)
    assert runner.name.endswith("/cpu")
    for ask in (
        lambda: open_runner(bundle, backend=Backend.TENSORRT),
        lambda: TensorRtRunner(bundle, kind=PlanKind.RTX),
    ):
        with pytest.raises(BackendError, match=r"does not run here: .*capability 8\.9 and .*H100"):
            ask()


@pytest.mark.skipif(driver_problem() is None, reason="a GPU is there")
def test_without_a_gpu_a_stream_is_an_error_and_a_plan_is_not_touched(bundle: Bundle) -> None:
    with pytest.raises(BackendError, match="refuses cudaStreamCreate: CUDA driver"):
        CudaStream()
    with pytest.raises(BackendError, match="does not run here: there is no NVIDIA driver|does not"):
        TensorRtRunner(bundle, kind=PlanKind.RTX)


@pytest.mark.skipif(
    driver_problem() is not None and REQUIRE_GPU not in os.environ, reason="there is no GPU"
)
def test_on_a_gpu_a_plan_agrees_with_the_onnx_file_that_it_was_built_from(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", plan=network())
    onnx = tmp_path / "network.onnx"
    onnx.write_bytes(network())
    kind = PlanKind.RTX if tensorrt_problem(PlanKind.TENSORRT) else PlanKind.TENSORRT
    plan = bundle.path / kind.file
    record = write_plan(onnx, plan, kind=kind, options=PlanOptions(profile=PROFILE))
    if (problem := why_not_here(record)) and REQUIRE_GPU not in os.environ:
        pytest.skip(problem)  # TensorRT-RTX does not run on the GPUs of data centres
    files = {name: sha256_of(bundle.path / name) for name in (kind.file, sidecar(kind.file))}
    runner = TensorRtRunner(replace(bundle, files={**bundle.files, **files}), kind=kind)
    for count in (1, 4, 11):
        check(runner.run(clips(count)), clips(count))
    runner.close()
