"""Both runtimes, on a network small enough to compute by hand."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from motionfit.inference.backends import cuda_problem
from motionfit.inference.bundle import MANIFEST, MODEL, Bundle, sha256_of
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BackendError, BundleError
from motionfit.inference.runner import Backend, Device, Output, Runner, open_runner
from motionfit.inference.runner_onnx import OnnxRunner

SPEC = ClipSpec(num_frames=2, frame_rate=10.0, short_side=9, crop=8)
LABELS = ("walk", "run", "jump", "wave")
WEIGHTS = np.array([[1, 0, -1, 0.5], [0, 2, 0, -0.5], [0.25, 0, 1, 3]], np.float32)  # (3, classes)
PLAN_LIBRARIES = ("tensorrt", "tensorrt_rtx", "cuda")

backends = pytest.mark.parametrize("backend", [Backend.ONNX, Backend.OPENVINO])


def network(*, crop: int = 8, logits: str = "logits") -> bytes:
    """embedding: the mean of each colour; logits: embedding x WEIGHTS."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real", "axes"], ["embedding"], keepdims=0),
        helper.make_node("MatMul", ["embedding", "weights"], [logits]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", 2, crop, crop, 3])],
        [
            helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["batch", 4]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 3]),
        ],
        [
            numpy_helper.from_array(WEIGHTS, "weights"),
            numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def make_bundle(folder: Path, *, model: bytes, labels: tuple[str, ...] = LABELS) -> Bundle:
    folder.mkdir(exist_ok=True)
    (folder / MODEL).write_bytes(model)
    manifest = {
        "format": 1,
        "name": "colours",
        "spec": SPEC.to_json(),
        "labels": labels,
        "files": {MODEL: {"sha256": sha256_of(folder / MODEL)}},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return Bundle.open(folder)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"), model=network())


@pytest.fixture(scope="module", params=[Backend.ONNX, Backend.OPENVINO])
def runner(request: pytest.FixtureRequest, bundle: Bundle) -> Runner:
    return open_runner(bundle, backend=request.param, device=Device.CPU, threads=1)


def clips(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, 2, 8, 8, 3), dtype=np.uint8)


def check(output: Output, frames: NDArray[np.uint8]) -> None:
    embedding = frames.astype(np.float64).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(output.embedding, embedding, rtol=1e-5)
    np.testing.assert_allclose(output.logits, embedding @ WEIGHTS, rtol=1e-4, atol=1e-2)
    assert output.logits.dtype == output.embedding.dtype == np.float32


@pytest.mark.parametrize("count", [1, 4, 3, 17])
def test_any_number_of_clips_is_computed_in_float32(runner: Runner, count: int) -> None:
    check(runner.run(clips(count)), clips(count))


def test_frames_in_any_memory_layout_are_taken(runner: Runner) -> None:
    check(runner.run(clips(6)[::-2, :, ::-1]), clips(6)[::-2, :, ::-1])
    frames = clips(2)
    frames.setflags(write=False)
    check(runner.run(frames), frames)


def test_an_answer_stays_when_the_next_one_is_computed(runner: Runner) -> None:
    first = runner.run(clips(2))
    runner.run(clips(3))
    check(first, clips(2))


def test_frames_that_are_not_uint8_are_refused_with_the_reason(runner: Runner) -> None:
    with pytest.raises(ValueError, match="must be uint8 .* got float32"):
        runner.run(clips(1).astype(np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "shape", [(0, 2, 8, 8, 3), (2, 8, 8, 3), (1, 3, 8, 8, 3), (1, 2, 8, 9, 3), (1, 2, 8, 8, 1)]
)
def test_frames_of_another_shape_are_refused_with_both_shapes(
    runner: Runner, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"must be \(N, 2, 8, 8, 3\)") as error:
        runner.run(np.zeros(shape, np.uint8))
    assert str(shape) in str(error.value)


@backends
def test_a_model_that_is_not_what_its_bundle_says_is_refused(
    tmp_path: Path, backend: Backend
) -> None:
    wrong = {
        "takes": make_bundle(tmp_path / "a", model=network(crop=16)),
        "gives .* expected logits": make_bundle(tmp_path / "b", model=network(logits="scores")),
        "for 3 labels": make_bundle(tmp_path / "c", model=network(), labels=LABELS[:3]),
        "cannot load": make_bundle(tmp_path / "d", model=network()[:-40]),
        "cannot load .*onnx": make_bundle(tmp_path / "e", model=b"no network"),
    }
    for message, bundle in wrong.items():
        with pytest.raises(BundleError, match=message):
            open_runner(bundle, backend=backend, device=Device.CPU)


def test_the_choice_of_runtime_is_logged_with_its_reason(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="motionfit.inference.runner"):
        open_runner(bundle, backend=Backend.ONNX, device=Device.CPU)
    assert caplog.messages == [
        "running colours with onnx on cpu: ONNX Runtime was asked for; the CPU was asked for"
    ]


@pytest.mark.skipif(cuda_problem() is None, reason="CUDA is there")
def test_onnx_runtime_without_cuda_does_not_fall_back_to_the_cpu(
    bundle: Bundle,
) -> None:
    with pytest.raises(BackendError, match="cannot run the model on CUDA"):
        OnnxRunner(bundle, cuda=True)


@pytest.mark.parametrize("threads", [0, -1])
def test_a_number_of_threads_below_one_is_refused(bundle: Bundle, threads: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        open_runner(bundle, threads=threads)


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("motionfit.inference.runner", ("onnxruntime", "openvino", *PLAN_LIBRARIES)),
        ("motionfit.inference.runner_onnx", ("openvino",)),
        ("motionfit.inference.runner_openvino", ("onnxruntime",)),
        ("motionfit.inference.runner_tensorrt", ("onnxruntime", "openvino", *PLAN_LIBRARIES)),
    ],
)
def test_importing_a_runner_never_imports_another_runtime(
    module: str, other: tuple[str, ...]
) -> None:
    code = f"import sys, {module}; sys.exit(any(name in sys.modules for name in {other!r}))"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0


@backends
def test_a_runtime_neither_prints_nor_writes_nor_opens_a_connection(
    bundle: Bundle, backend: Backend, tmp_path: Path
) -> None:
    """Both runtimes report to their makers unless they are kept from it."""
    code = f"""
import sys
def hook(event, arguments):
    if event.startswith("socket."):
        raise SystemExit(f"a socket: {{event}}")
sys.addaudithook(hook)
import numpy, pathlib
from motionfit.inference.runner import Bundle, open_runner, Backend
runner = open_runner(Bundle.open({str(bundle.path)!r}), backend=Backend({backend.value!r}))
runner.run(numpy.zeros((1, 2, 8, 8, 3), numpy.uint8))
runner.close()
"""
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


SIGNALLED = """
import os, signal, threading
from motionfit.inference.bundle import Bundle
from motionfit.inference.runner import Backend, open_runner

runner = open_runner(Bundle.open(), backend=Backend.OPENVINO, threads=1)
thread = threading.Thread(target=runner.close)
thread.start()
thread.join()
signal.signal(signal.SIGTERM, lambda *_: print("alive"))
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_signal_is_handled_after_another_thread_has_freed_the_model() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
