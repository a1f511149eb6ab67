import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from motionfit.export import pipeline, to_onnx
from motionfit.export.clips import SAMPLE_CLIPS, sample_clips
from motionfit.export.fold import folded
from motionfit.export.pipeline import Export, Wanted, export_bundle
from motionfit.export.plan_choice import PlanChoice
from motionfit.inference import bundle as bundles
from motionfit.inference.bundle import (
    FP16,
    LOWERED,
    MANIFEST,
    MODEL,
    RTX_PLAN,
    WEIGHTS,
    Bundle,
    sidecar,
)
from motionfit.inference.errors import BackendError, BundleError, VerificationError, VideoError
from motionfit.inference.plan import PlanRecord, Profile
from motionfit.inference.plan_library import PlanKind
from motionfit.training.checkpoint import CHECKPOINT, CLIPS, Checkpoint, CheckpointError
from tests.nvidia_driver import pretend_installed, put_in_place

Contents = Callable[[Path], dict[str, bytes]]


def forgetful_fold(model: nn.Module) -> nn.Module:
    """Fold, but lose one batch-norm's shift on the way."""
    result = folded(model)
    with torch.no_grad():
        result.layer4[1].conv2[0][3].bias.zero_()
    return result


@pytest.fixture(scope="module")
def half_export(export: Export, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A bundle made of another one, with all that can be made without a GPU."""
    pytest.importorskip("tensorrt_rtx")
    place = tmp_path_factory.mktemp("half")
    wanted = Wanted(
        fp16=True,
        profile=Profile(min=1, opt=2, max=4),
        compute_capabilities=("8.9",),
        triton=place / "models",
    )
    return export_bundle(export.bundle.path, place / "bundle", wanted=wanted)


def test_the_manifest_says_what_is_in_the_bundle(export: Export, checkpoint: Checkpoint) -> None:
    bundle = export.bundle
    manifest = bundle.manifest
    assert (bundle.spec, bundle.labels) == (checkpoint.spec, checkpoint.labels)
    assert bundle.name == "r2plus1d_18-w0.0625-5classes"
    assert manifest["architecture"] == {
        "name": "r2plus1d_18",
        "width": checkpoint.width,
        "parameters": sum(parameter.numel() for parameter in checkpoint.model.parameters()),
        "embedding_dim": 32,
        "opset": 18,
    }
    assert manifest["training"] == checkpoint.training
    assert manifest["runs"] == bundle.runs
    assert manifest["parity"]["clips"]["count"] == len(export.clips.frames) > 0
    assert len(manifest["parity"]["results"]) == len(export.parity)
    for name in (MODEL, LOWERED, WEIGHTS):
        assert manifest["files"][name]["bytes"] == bundle.file(name).stat().st_size
        assert name in manifest["precision"]
    assert {"torch", "onnx", "openvino"} <= set(manifest["libraries"])


def test_the_bundle_holds_exactly_what_it_names(export: Export) -> None:
    present = {path.name for path in export.bundle.path.iterdir()}
    assert present == {MANIFEST, MODEL, LOWERED, WEIGHTS}


def test_other_users_may_read_the_bundle(export: Export) -> None:
    for path in (export.bundle.path, *export.bundle.path.iterdir()):
        assert path.stat().st_mode & 0o044 == 0o044


def test_a_changed_byte_is_refused_on_opening(bundle_copy: Path) -> None:
    for name in (MODEL, WEIGHTS):
        content = bytearray((bundle_copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (bundle_copy / name).write_bytes(content)
        with pytest.raises(BundleError, match="was changed"):
            Bundle.open(bundle_copy)
        content[len(content) // 2] ^= 1
        (bundle_copy / name).write_bytes(content)
    Bundle.open(bundle_copy)


def test_a_bundle_exported_from_its_own_weights_replaces_it_with_the_same_model(
    export: Export, bundle_copy: Path, videos: list[Path]
) -> None:
    result = export_bundle(bundle_copy / WEIGHTS, bundle_copy, videos=videos[:1], name="mine")
    assert Bundle.open(bundle_copy).name == "mine"
    assert result.bundle.version == export.bundle.version
    assert len(result.clips.frames) == 4
    assert [path.name for path in bundle_copy.parent.iterdir()] == ["bundle"]


def test_a_wrong_export_leaves_nothing(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_onnx, "folded", forgetful_fold)
    with pytest.raises(VerificationError, match="model.onnx in onnxruntime/cpu against student"):
        export_bundle(run_folder, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_exported_from_its_weights_and_keeps_its_name_and_record(
    export: Export, half_export: Export, checkpoint: Checkpoint
) -> None:
    bundle = half_export.bundle
    assert (bundle.name, bundle.spec, bundle.labels) == (
        export.bundle.name,
        export.bundle.spec,
        export.bundle.labels,
    )
    assert bundle.manifest["training"] == checkpoint.training
    for name in (MODEL, LOWERED):  # safetensors writes its metadata in any order
        assert bundle.files[name] == export.bundle.files[name]
    source = sample_clips(spec=bundle.spec).source
    assert bundle.manifest["parity"]["clips"]["source"] == half_export.clips.source == source
    assert len(half_export.clips.frames) == SAMPLE_CLIPS


def test_half_precision_and_a_plan_come_with_their_sidecars(half_export: Export) -> None:
    bundle = half_export.bundle
    added = {FP16, sidecar(FP16), RTX_PLAN, sidecar(RTX_PLAN)}
    assert set(bundle.files) == {MODEL, LOWERED, WEIGHTS} | added
    assert half_export.skipped is None
    record = PlanRecord.read(bundle.file(RTX_PLAN))
    assert record.compute_capabilities == ("8.9",)
    assert (record.profile.opt, record.profile.max) == (2, 4)
    assert record.onnx_sha256 == bundle.files[FP16]
    assert bundle.runs["tensorrt-rtx/cuda"] == RTX_PLAN
    assert bundle.manifest["precision"][RTX_PLAN].startswith("float16")


def test_triton_gets_half_precision_where_there_is_no_plan_for_it(half_export: Export) -> None:
    model = half_export.triton
    assert model is not None
    assert model.source == FP16
    content = half_export.bundle.file(FP16).read_bytes()
    assert (model.path / "1" / "model.onnx").read_bytes() == content
    assert "max_batch_size: 4\n" in (model.path / "config.pbtxt").read_text()


def test_without_a_source_it_is_the_embedded_student(
    bundle_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "embedded_path", lambda: bundle_copy)
    put_in_place(monkeypatch, None)
    pretend_installed(monkeypatch, {})
    result = export_bundle(None, tmp_path / "bundle", wanted=Wanted(fp16=True))
    assert result.bundle.version == Bundle.open(bundle_copy).version
    assert FP16 in result.bundle.files
    assert not [name for name in result.bundle.files if name.endswith(".plan")]
    assert result.skipped is not None
    assert "TensorRT is not installed" in result.skipped


def test_a_plan_that_was_asked_for_and_cannot_be_built_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place(monkeypatch, None)
    pretend_installed(monkeypatch, {})
    with pytest.raises(BackendError, match="there is no NVIDIA driver"):
        export_bundle(tmp_path / "nothing", tmp_path / "bundle", wanted=Wanted(tensorrt=True))
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_fails_keeps_the_old_bundle(
    bundle_copy: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise VerificationError("2 of 37 convolutions are not in half precision")

    before = contents(bundle_copy.parent)
    monkeypatch.setattr(pipeline, "choose_plan", lambda **options: PlanChoice(kind=PlanKind.RTX))
    monkeypatch.setattr(pipeline, "write_half", lambda *arguments, **options: None)
    monkeypatch.setattr(pipeline, "write_plan", fails)
    with pytest.raises(VerificationError, match="2 of 37"):
        export_bundle(bundle_copy, bundle_copy, wanted=Wanted(tensorrt=True))
    assert contents(bundle_copy.parent) == before


def test_a_checkpoint_without_labels_says_what_it_lacks(run_folder: Path, tmp_path: Path) -> None:
    with safe_open(run_folder / CHECKPOINT, framework="pt") as opened:
        metadata = {name: text for name, text in opened.metadata().items() if name != "labels"}
    save_file(load_file(run_folder / CHECKPOINT), tmp_path / CHECKPOINT, metadata)
    with pytest.raises(CheckpointError, match="it lacks 'labels'; give one that motionfit-train"):
        export_bundle(tmp_path, tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_bundle_that_is_damaged_is_no_source(bundle_copy: Path, tmp_path: Path) -> None:
    content = (bundle_copy / MODEL).read_bytes()
    (bundle_copy / MODEL).write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match=r"model\.onnx was changed.*export the bundle again"):
        export_bundle(bundle_copy, tmp_path / "new")
    manifest = json.loads((bundle_copy / MANIFEST).read_text())
    del manifest["labels"]
    (bundle_copy / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="lacks 'labels'; copy or export the bundle again"):
        export_bundle(bundle_copy, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_exported_is_refused_before_any_work(
    run_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError):
        export_bundle(tmp_path, tmp_path / "bundle")
    with pytest.raises(BundleError, match="not a bundle and not empty"):
        export_bundle(run_folder, run_folder)
    with pytest.raises(CheckpointError):
        export_bundle(run_folder / CLIPS, tmp_path / "bundle")
    shutil.copy(run_folder / CHECKPOINT, tmp_path)
    with pytest.raises(BundleError, match="--triton"):
        export_bundle(tmp_path, tmp_path / "bundle", wanted=Wanted(triton=run_folder / CHECKPOINT))
    with pytest.raises(VideoError):
        export_bundle(tmp_path, tmp_path / "bundle", videos=[tmp_path / CHECKPOINT])
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
