import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from motionfit.export.clips import clips_of_run
from motionfit.export.pipeline import Export
from motionfit.export.verify import BATCH, in_batches, row_distance, verify
from motionfit.inference.backends import Backend, Device
from motionfit.inference.bundle import MANIFEST, MODEL, Bundle, sha256_of
from motionfit.inference.errors import VerificationError
from motionfit.inference.runner import open_runner
from motionfit.inference.tensors import Output
from motionfit.training.checkpoint import Checkpoint, load_checkpoint


def test_both_runtimes_and_the_rounding_were_verified(export: Export) -> None:
    assert [result.subject for result in export.parity] == [
        "student.safetensors",
        "onnxruntime/cpu",
        "openvino/cpu",
    ]
    for result in export.parity:
        assert result.problems() == []
        assert result.top1_agreement == 1.0
    rounding, *runtimes = export.parity
    assert rounding.distance.logits.largest > 0  # float16 really loses something
    for runtime in runtimes:
        assert runtime.distance.logits.largest < 1e-5 * runtime.distance.logits.scale


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
    model = onnx.load(bundle_copy / MODEL)
    weight = next(one for one in model.graph.initializer if one.name == "model.fc.weight")
    values = numpy_helper.to_array(weight).copy()
    values[2] *= 1.01
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, bundle_copy / MODEL)
    with pytest.raises(VerificationError, match="onnxruntime/cpu against student"):
        _verify_again(bundle_copy, run_folder)


def test_a_graph_that_mixes_the_clips_of_a_batch_is_found() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 4, 3), dtype=np.uint8)

    def honest(batch: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Output:
        values = batch.reshape(len(batch), -1).astype(np.float32)
        return Output(values, values)

    def leaking(batch: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Output:
        values = honest(batch).logits
        return Output(values + 1e-3 * values.mean(axis=0), values)

    assert row_distance(honest, frames).logits.largest == 0
    assert row_distance(leaking, frames).logits.largest > 1e-3
    assert row_distance(leaking, frames[:1]).logits.largest > 1e-3


def test_batches_are_put_together_in_order() -> None:
    frames = np.arange(2 * BATCH + 3, dtype=np.uint8).reshape(-1, 1, 1, 1, 1)

    def run(batch: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Output:
        assert len(batch) <= BATCH
        values = batch.reshape(len(batch), 1).astype(np.float32)
        return Output(values, 2 * values)

    output = in_batches(run, frames)
    assert output.logits[:, 0].tolist() == list(range(len(frames)))
    assert output.embedding[:, 0].tolist() == [2 * index for index in range(len(frames))]


def _verify_again(folder: Path, run_folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][MODEL]["sha256"] = sha256_of(folder / MODEL)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    source: Checkpoint = load_checkpoint(run_folder)
    verify(Bundle.open(folder), source=source, clips=clips_of_run(run_folder, spec=source.spec))
