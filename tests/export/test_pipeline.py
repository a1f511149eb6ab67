import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from motionfit.export import to_onnx
from motionfit.export.fold import folded
from motionfit.export.pipeline import Export, export_bundle
from motionfit.inference.bundle import MANIFEST, MODEL, WEIGHTS, Bundle
from motionfit.inference.errors import BundleError, VerificationError, VideoError
from motionfit.training.checkpoint import CHECKPOINT, Checkpoint, CheckpointError

Contents = Callable[[Path], dict[str, bytes]]


def forgetful_fold(model: nn.Module) -> nn.Module:
    """Fold, but lose one batch-norm's shift on the way."""
    result = folded(model)
    with torch.no_grad():
        result.layer4[1].conv2[0][3].bias.zero_()
    return result


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
    assert manifest["parity"]["clips"]["count"] == export.num_clips > 0
    assert len(manifest["parity"]["results"]) == 3
    for name in (MODEL, WEIGHTS):
        assert manifest["files"][name]["bytes"] == bundle.file(name).stat().st_size
        assert name in manifest["precision"]
    assert {"torch", "onnx", "openvino"} <= set(manifest["libraries"])


def test_the_bundle_holds_exactly_what_it_names(export: Export) -> None:
    present = {path.name for path in export.bundle.path.iterdir()}
    assert present == {MANIFEST, MODEL, WEIGHTS}


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
    assert result.num_clips == 4
    assert [path.name for path in bundle_copy.parent.iterdir()] == ["bundle"]


def test_a_wrong_export_leaves_nothing(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_onnx, "folded", forgetful_fold)
    with pytest.raises(VerificationError, match="onnxruntime/cpu against student"):
        export_bundle(run_folder, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_leaves_nothing_and_keeps_the_old_bundle(
    bundle_copy: Path, run_folder: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    before = contents(bundle_copy.parent)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        export_bundle(run_folder, bundle_copy)
    assert contents(bundle_copy.parent) == before


def test_what_cannot_be_exported_is_refused_before_any_work(
    run_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError):
        export_bundle(tmp_path, tmp_path / "bundle")
    with pytest.raises(BundleError, match="not a bundle and not empty"):
        export_bundle(run_folder, run_folder)
    shutil.copy(run_folder / CHECKPOINT, tmp_path)
    with pytest.raises(VerificationError, match="--clips"):
        export_bundle(tmp_path, tmp_path / "bundle")
    with pytest.raises(VideoError):
        export_bundle(tmp_path, tmp_path / "bundle", videos=[tmp_path / CHECKPOINT])
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
