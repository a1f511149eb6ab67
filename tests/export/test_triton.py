"""The model repository, read with the definition of its configuration that Triton's client has."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc import model_config_pb2  # type: ignore[import-untyped]

from motionfit.export.pipeline import Export, Wanted, export_bundle
from motionfit.export.plan_choice import PlanChoice
from motionfit.export.triton import check_triton, write_triton
from motionfit.inference.bundle import FP16, MODEL, PLAN, RTX_PLAN, Bundle, sidecar
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BundleError
from motionfit.inference.plan import Profile
from motionfit.inference.plan_library import PlanKind
from tests.plans import RECORD, name_in_manifest, write_plan_like

Contents = Callable[[Path], dict[str, bytes]]


def read_config(model: Path) -> Any:
    """config.pbtxt, unknown fields and wrong types refused."""
    config = model_config_pb2.ModelConfig()
    return text_format.Parse((model / "config.pbtxt").read_text(), config)


def named(bundle: Bundle, name: str) -> Bundle:
    return replace(bundle, name=name)


def test_an_onnx_file_becomes_a_model_with_labels_and_dynamic_batches(
    export: Export, tmp_path: Path
) -> None:
    written = write_triton(tmp_path / "models", named(export.bundle, "walker"), max_batch=32)
    assert (written.path, written.source) == (tmp_path / "models" / "walker", MODEL)
    assert (written.path / "1" / "model.onnx").read_bytes() == export.bundle.file(
        MODEL
    ).read_bytes()
    assert (written.path / "labels.txt").read_text() == "walk\nrun\njump\nwave\nbend\n"

    config = read_config(written.path)
    assert (config.name, config.backend, config.max_batch_size) == ("walker", "onnxruntime", 32)
    assert config.default_model_filename == "model.onnx"
    assert config.HasField("dynamic_batching")
    assert config.dynamic_batching.max_queue_delay_microseconds == 2000
    assert config.version_policy.latest.num_versions == 1
    (frames,) = config.input
    assert (frames.name, frames.data_type) == ("frames", model_config_pb2.TYPE_UINT8)
    assert list(frames.dims) == [4, 32, 32, 3]
    logits, embedding = config.output
    assert (logits.name, list(logits.dims), logits.label_filename) == ("logits", [5], "labels.txt")
    assert (embedding.name, list(embedding.dims)) == ("embedding", [32])
    assert {logits.data_type, embedding.data_type} == {model_config_pb2.TYPE_FP32}
    (group,) = config.instance_group
    assert (group.count, group.kind) == (1, model_config_pb2.ModelInstanceGroup.KIND_AUTO)
    parameters = {name: value.string_value for name, value in config.parameters.items()}
    assert ClipSpec.from_json(json.loads(parameters["motionfit.spec"])) == export.bundle.spec
    assert parameters["motionfit.version"] == export.bundle.version


def test_the_plan_is_taken_where_there_is_one_with_its_own_batch(
    bundle_copy: Path, tmp_path: Path
) -> None:
    write_plan_like(bundle_copy / PLAN)
    name_in_manifest(bundle_copy, PLAN, sidecar(PLAN))
    bundle = named(Bundle.open(bundle_copy), "walker")
    written = write_triton(tmp_path / "models", bundle, max_batch=32)
    config = read_config(written.path)
    assert (config.backend, config.max_batch_size) == ("tensorrt", 16)
    (group,) = config.instance_group
    assert group.kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    assert (written.path / "1" / "model.plan").read_bytes() == bundle.file(PLAN).read_bytes()


def test_half_precision_is_taken_before_single_and_a_plan_of_rtx_never(
    bundle_copy: Path, tmp_path: Path
) -> None:
    (bundle_copy / FP16).write_bytes(b"half")
    write_plan_like(bundle_copy / RTX_PLAN)
    name_in_manifest(bundle_copy, FP16, RTX_PLAN, sidecar(RTX_PLAN))
    bundle = Bundle.open(bundle_copy)
    assert write_triton(tmp_path / "models", bundle, max_batch=8).source == FP16


def test_a_plan_that_takes_no_single_clip_is_refused(bundle_copy: Path, tmp_path: Path) -> None:
    write_plan_like(bundle_copy / PLAN, replace(RECORD, profile=Profile(min=2, opt=4, max=8)))
    name_in_manifest(bundle_copy, PLAN, sidecar(PLAN))
    with pytest.raises(BundleError, match="--batch 1 4 8"):
        write_triton(tmp_path / "models", Bundle.open(bundle_copy), max_batch=8)
    assert not (tmp_path / "models").exists()


def test_an_older_export_is_replaced_and_other_models_stay(export: Export, tmp_path: Path) -> None:
    (tmp_path / "another" / "1").mkdir(parents=True)
    first = write_triton(tmp_path, export.bundle, max_batch=8)
    write_triton(tmp_path, export.bundle, max_batch=16)
    assert read_config(first.path).max_batch_size == 16
    assert {path.name for path in tmp_path.iterdir()} == {"another", export.bundle.name}


@pytest.mark.parametrize("other", ["notes.txt", "2/model.onnx"])
def test_a_model_of_somebody_else_is_not_touched(
    export: Export, tmp_path: Path, contents: Contents, other: str
) -> None:
    written = write_triton(tmp_path, export.bundle, max_batch=8)
    (written.path / "2").mkdir()
    (written.path / other).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(BundleError, match="not what motionfit-export wrote"):
        write_triton(tmp_path, export.bundle, max_batch=8)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "with space", "Gehen.ß"])
def test_a_name_that_triton_cannot_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="--name"):
        check_triton(tmp_path, name=name, labels=["walk"])


def test_labels_that_are_no_lines_and_folders_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"labels\.txt"):
        check_triton(tmp_path, name="walker", labels=["walk", "run\nfast"])
    with pytest.raises(BundleError, match="no folder"):
        check_triton(tmp_path / "a" / "b", name="walker", labels=["walk"])
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="is a file"):
        check_triton(tmp_path / "file", name="walker", labels=["walk"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_batch_that_triton_cannot_send_is_refused_before_any_work(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = PlanChoice(kind=PlanKind.TENSORRT)
    monkeypatch.setattr(Wanted, "choose_plan", lambda _: plan)  # which needs a GPU
    wanted = Wanted(triton=tmp_path / "models", profile=Profile(min=2, opt=4, max=8))
    with pytest.raises(BundleError, match="export with  --batch 1 4 8"):
        export_bundle(run_folder, tmp_path / "bundle", wanted=wanted)
    assert list(tmp_path.iterdir()) == []
