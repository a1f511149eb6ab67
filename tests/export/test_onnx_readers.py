"""The ONNX file of each kind loads, and gives the same, in all that is meant to read it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from motionfit.export.clips import clips_of_run
from motionfit.export.half import write_half
from motionfit.export.parity import HALF, RUNTIME, distance
from motionfit.export.pipeline import Export
from motionfit.export.to_tensorrt import parsed_layers
from motionfit.inference.bundle import FP16, LOWERED, MODEL, WEIGHTS, Bundle
from motionfit.inference.plan_library import PlanKind
from motionfit.inference.runner_onnx import OnnxRunner
from motionfit.inference.runner_openvino import OpenVinoRunner
from motionfit.inference.tensors import EMBEDDING, INPUT, LOGITS, Output
from motionfit.training.checkpoint import load_checkpoint
from motionfit.training.model import normalised
from tests.plans import name_in_manifest

Frames = NDArray[np.uint8]
Reader = Callable[[Bundle, str, Frames], Output]

KINDS = {MODEL: (RUNTIME, "FLOAT"), LOWERED: (RUNTIME, "FLOAT"), FP16: (HALF, "HALF")}


@pytest.fixture(scope="module")
def frames(export: Export, run_folder: Path) -> Frames:
    return clips_of_run(run_folder, spec=export.bundle.spec).frames[:2]


@pytest.fixture(scope="module")
def bundle(export: Export, frames: Frames, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with a file of each kind."""
    folder = tmp_path_factory.mktemp("kinds")
    for path in export.bundle.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    stored = load_checkpoint(folder / WEIGHTS)
    write_half(folder / FP16, stored, plain=folder / MODEL, clips=frames)
    name_in_manifest(folder, FP16)
    return Bundle.open(folder)


@pytest.fixture(scope="module")
def expected(bundle: Bundle, frames: Frames) -> Output:
    stored = load_checkpoint(bundle.file(WEIGHTS))
    with torch.inference_mode():
        logits, embedding = stored.model(normalised(torch.from_numpy(frames), spec=stored.spec))
    return Output(logits.numpy(), embedding.numpy())


def onnx_runtime(bundle: Bundle, file: str, frames: Frames) -> Output:
    return OnnxRunner(bundle, threads=1, file=file).run(frames)


def openvino(bundle: Bundle, file: str, frames: Frames) -> Output:
    return OpenVinoRunner(bundle, threads=1, file=file).run(frames)


def reference_evaluator(bundle: Bundle, file: str, frames: Frames) -> Output:
    """The standard's own, in numpy; the one here that computes half precision in half precision."""
    session = ReferenceEvaluator(str(bundle.file(file)))
    return Output(*session.run([LOGITS, EMBEDDING], {INPUT: frames}))


@pytest.mark.parametrize("reader", [onnx_runtime, openvino, reference_evaluator])
@pytest.mark.parametrize("file", KINDS)
def test_each_kind_gives_what_pytorch_does(
    bundle: Bundle, file: str, reader: Reader, frames: Frames, expected: Output
) -> None:
    limits, _ = KINDS[file]
    found = reader(bundle, file, frames)
    assert distance(found, expected).problems(file, limit=limits.difference) == []
    assert found.logits.dtype == found.embedding.dtype == np.float32


@pytest.mark.parametrize("file", KINDS)
def test_each_kind_is_read_by_the_parser_of_tensorrt_rtx(bundle: Bundle, file: str) -> None:
    pytest.importorskip("tensorrt_rtx")
    layers = parsed_layers(bundle.file(file), kind=PlanKind.RTX)
    assert layers["convolution"] == {KINDS[file][1]: 37}
