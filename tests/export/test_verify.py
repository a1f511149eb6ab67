from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionfit.export import verify as verification
from motionfit.export.clips import clips_of_run
from motionfit.export.half import write_half
from motionfit.export.parity import HALF, RUNTIME
from motionfit.export.pipeline import Export
from motionfit.export.verify import (
    BATCH,
    in_batches,
    outside,
    row_distance,
    verify,
    verify_bundle,
)
from motionfit.inference.backends import Backend, Device
from motionfit.inference.bundle import FP16, MODEL, PLAN, WEIGHTS, Bundle, sidecar
from motionfit.inference.errors import VerificationError
from motionfit.inference.plan import Profile
from motionfit.inference.plan_library import PlanKind
from motionfit.inference.runner import open_runner
from motionfit.inference.runner_onnx import OnnxRunner
from motionfit.inference.tensors import Output
from motionfit.training.checkpoint import load_checkpoint
from tests.export.conftest import LABELS
from tests.export.perturbed import perturb_classifier
from tests.plans import RECORD, name_in_manifest, write_plan_like


def test_every_file_was_verified_in_both_runtimes(export: Export) -> None:
    assert [result.subject for result in export.parity] == [
        "student.safetensors",
        "model.onnx in onnxruntime/cpu",
        "model.onnx in openvino/cpu",
        "model.lowered.onnx in onnxruntime/cpu",
        "model.lowered.onnx in openvino/cpu",
    ]
    for result in export.parity:
        assert result.problems() == []
        assert result.top1_agreement == 1.0
        assert result.accuracy is None
    rounding, *runtimes = export.parity
    assert rounding.distance.logits.largest > 0  # float16 really loses something
    for runtime in runtimes:
        assert runtime.distance.logits.largest < 1e-5 * runtime.distance.logits.scale
        assert runtime.batches == (8, 32)


def test_a_bundle_is_verified_by_itself_in_half_precision_too(
    bundle_copy: Path, run_folder: Path
) -> None:
    stored = load_checkpoint(bundle_copy / WEIGHTS)
    clips = clips_of_run(run_folder, spec=stored.spec)
    write_half(bundle_copy / FP16, stored, plain=bundle_copy / MODEL, clips=clips.frames)
    name_in_manifest(bundle_copy, FP16)
    results = verify_bundle(Bundle.open(bundle_copy), clips=clips)
    assert outside(results) == []
    assert {(result.reference, result.limits) for result in results[:4]} == {(WEIGHTS, RUNTIME)}
    assert [(result.subject, result.limits) for result in results[4:]] == [
        ("model.fp16.onnx in onnxruntime/cpu", HALF),
        ("model.fp16.onnx in openvino/cpu", HALF),
    ]
    for result in results[4:]:
        assert result.distance.logits.largest > 1e-5 * result.distance.logits.scale


def test_accuracy_is_measured_where_classes_are_known(export: Export, run_folder: Path) -> None:
    clips = clips_of_run(run_folder, spec=export.bundle.spec)
    few = replace(clips, frames=clips.frames[:3], true=(None, LABELS[1], LABELS[2]))
    results = verify_bundle(export.bundle, clips=few)
    for result in results:
        assert result.accuracy is not None
        assert result.accuracy.clips == 2
        assert result.accuracy.found == result.accuracy.reference


def test_a_plan_that_runs_here_is_held_at_the_batches_of_its_profile(
    export: Export, bundle_copy: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = replace(RECORD, profile=Profile(min=2, opt=4, max=6))
    write_plan_like(bundle_copy / PLAN, record)
    name_in_manifest(bundle_copy, PLAN, sidecar(PLAN))
    sizes: set[int] = set()

    class InPlaceOfTheGpu(OnnxRunner):
        def run(self, frames: NDArray[np.uint8]) -> Output:
            sizes.add(len(frames))
            return super().run(frames)

    def opened(bundle: Bundle, kind: PlanKind) -> InPlaceOfTheGpu:
        assert kind is PlanKind.TENSORRT
        return InPlaceOfTheGpu(bundle)

    clips = clips_of_run(run_folder, spec=export.bundle.spec)
    monkeypatch.setattr(verification, "_open_plan", opened)
    bundle = Bundle.open(bundle_copy)
    assert PLAN not in " ".join(result.subject for result in verify_bundle(bundle, clips=clips))
    monkeypatch.setattr(verification, "why_not_here", lambda _: None)
    result = verify_bundle(bundle, clips=clips)[-1]
    assert (result.subject, result.limits) == (f"{PLAN} in onnxruntime/cpu", HALF)
    assert result.batches == (4, 6)
    assert {1, 4, 6} <= sizes  # the runner of a plan fills one up by itself


@pytest.mark.parametrize("backend", [Backend.ONNX, Backend.OPENVINO])
def test_any_batch_size_gives_the_rows_of_the_single_clips(
    export: Export, run_folder: Path, backend: Backend
) -> None:
    frames = clips_of_run(run_folder, spec=export.bundle.spec).frames
    runner = open_runner(export.bundle, backend=backend, device=Device.CPU)
    alone = [runner.run(clip[np.newaxis]).logits for clip in frames[:5]]
    for count in (1, 2, 3, 5):
        together = runner.run(frames[:count]).logits
        np.testing.assert_allclose(together, np.concatenate(alone[:count]), rtol=1e-4, atol=1e-5)


def test_perturbed_weights_are_found_even_when_hashes_fit(
    bundle_copy: Path, run_folder: Path
) -> None:
    perturb_classifier(bundle_copy / MODEL)
    name_in_manifest(bundle_copy, MODEL)
    source = load_checkpoint(run_folder)
    clips = clips_of_run(run_folder, spec=source.spec)
    with pytest.raises(VerificationError, match=r"model\.onnx in onnxruntime/cpu against student"):
        verify(Bundle.open(bundle_copy), source=source, clips=clips)


def test_a_graph_that_mixes_the_clips_of_a_batch_is_found() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 4, 3), dtype=np.uint8)

    def honest(batch: NDArray[np.uint8]) -> Output:
        values = batch.reshape(len(batch), -1).astype(np.float32)
        return Output(values, values)

    def leaking(batch: NDArray[np.uint8]) -> Output:
        values = honest(batch).logits
        return Output(values + 1e-3 * values.mean(axis=0), values)

    assert row_distance(honest, frames).logits.largest == 0
    assert row_distance(leaking, frames).logits.largest > 1e-3
    assert row_distance(leaking, frames[:1]).logits.largest > 1e-3


def test_a_graph_that_computes_one_row_of_a_large_batch_differently_is_found() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 4, 3), dtype=np.uint8)

    for row in (0, 7, 30, 31):

        def crooked(batch: NDArray[np.uint8], row: int = row) -> Output:
            values = batch.reshape(len(batch), -1).astype(np.float32)
            values[row : row + 1] += 1
            return Output(values, values)

        found = row_distance(crooked, frames, batches=(8, 32)).logits.largest
        assert found >= 1


def test_batches_are_put_together_in_order() -> None:
    frames = np.arange(2 * BATCH + 3, dtype=np.uint8).reshape(-1, 1, 1, 1, 1)

    def run(batch: NDArray[np.uint8]) -> Output:
        assert len(batch) <= BATCH
        values = batch.reshape(len(batch), 1).astype(np.float32)
        return Output(values, 2 * values)

    output = in_batches(run, frames)
    assert output.logits[:, 0].tolist() == list(range(len(frames)))
    assert output.embedding[:, 0].tolist() == [2 * index for index in range(len(frames))]
