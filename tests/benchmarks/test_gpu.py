"""What of the GPU suite does not need a GPU; the rest was built, not executed by us."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motionfit.benchmarks.engines import Suite, contest, matrix_product
from motionfit.benchmarks.engines_network import Subject, made_subject
from motionfit.benchmarks.gpu import HALF_EAGER, gpu_device, torch_engines
from motionfit.benchmarks.gpu_onnx import onnx_binding
from motionfit.benchmarks.gpu_tensorrt import plan_binding
from motionfit.export.half import write_half
from motionfit.export.to_onnx import write_onnx
from motionfit.inference.cuda_driver import driver_problem
from motionfit.inference.errors import BackendError, MissingExtra
from motionfit.inference.plan_library import PlanKind

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
CPU = torch.device("cpu")
without_gpu = pytest.mark.skipif(driver_problem() is None, reason="this machine has a GPU")


@pytest.fixture(scope="module")
def subject() -> Subject:
    return made_subject(width=0.0625, num_frames=4, size=32, clips=2, seed=0)


@pytest.fixture(scope="module")
def files(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The network as ONNX, in single and in half precision."""
    folder = tmp_path_factory.mktemp("gpu")
    plain, half = folder / "model.onnx", folder / "model.fp16.onnx"
    write_onnx(plain, subject.checkpoint)
    write_half(half, subject.checkpoint, plain=plain, clips=subject.frames.numpy())
    return plain, half


def test_half_precision_is_held_against_single_precision(subject: Subject) -> None:
    eager, half, *_ = torch_engines(subject, device=CPU)
    suite = Suite(
        kind="gpu",
        subject=subject,
        engines=(eager, half),
        peaks=tuple(matrix_product(32, precision=p, device=CPU) for p in ("fp32", "fp16")),
        rivals=(HALF_EAGER,),
        settings={},
    )
    found = contest(suite, batches=(1, 2))
    assert found.excluded == ()
    assert [(one.case.name, one.precision) for one in found.entries[2:]] == [
        ("batch2/torch/eager", "fp32"),
        ("batch2/torch/folded-fp16", "fp16"),
    ]
    (_, peak) = suite.peaks
    peak.run()
    assert (peak.precision, peak.flop) == ("fp16", 2 * 32**3)


def test_logits_are_written_where_they_are_bound(
    subject: Subject, files: tuple[Path, Path]
) -> None:
    expected = torch_engines(subject, device=CPU)[0].open()(subject.frames)().numpy()
    for file, tolerance in zip(files, (1e-4, 1e-2), strict=True):
        call = onnx_binding(file, device=CPU, graph=False)(subject.frames)
        logits = call()
        logits.zero_()
        assert call() is logits
        assert np.abs(logits.numpy() - expected).max() < tolerance * np.abs(expected).max()


@without_gpu
def test_the_cpu_is_never_taken_for_the_gpu(
    subject: Subject, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = torch.device("cuda", 0)
    with pytest.raises(BackendError, match="cannot use the GPU: onnxruntime-gpu is not installed"):
        onnx_binding(files[0], device=gpu, graph=True)
    # As where the wheel is there and its CUDA parts do not load.
    monkeypatch.setattr("motionfit.benchmarks.gpu_onnx.cuda_problem", lambda: None)
    with pytest.raises(BackendError, match="^ONNX Runtime "):
        onnx_binding(files[0], device=gpu, graph=True)(subject.frames)
    with pytest.raises(BackendError, match="PyTorch .* cannot use the GPU"):
        gpu_device()


@without_gpu
def test_a_plan_that_cannot_run_says_why(files: tuple[Path, Path]) -> None:
    for kind in PlanKind:
        with pytest.raises((BackendError, MissingExtra), match="GPU|driver|not installed"):
            plan_binding(files[1], kind=kind, largest=2, device=torch.device("cuda", 0))


@without_gpu
def test_without_a_gpu_the_command_says_so_in_one_line(bench: Bench, tmp_path: Path) -> None:
    done = bench("gpu", "-o", tmp_path / "gpu.json")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: there is no GPU to measure: ")
    assert "run  motionfit-bench gpu  on a machine with an NVIDIA GPU" in done.stderr
    assert list(tmp_path.iterdir()) == []
