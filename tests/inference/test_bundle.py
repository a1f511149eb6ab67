import json
from pathlib import Path
from typing import Any

import pytest

from motionfit.inference.bundle import (
    LOWERED,
    MANIFEST,
    MODEL,
    PLAN,
    WEIGHTS,
    Bundle,
    loaded_files,
    sha256_of,
)
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BundleError

SPEC = ClipSpec(num_frames=8, frame_rate=10.0, short_side=72, crop=64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / MODEL).write_bytes(b"a network")
    (tmp_path / WEIGHTS).write_bytes(b"its weights")
    files = {name: {"sha256": sha256_of(tmp_path / name)} for name in (MODEL, WEIGHTS)}
    manifest = {
        "format": 1,
        "name": "walker",
        "spec": SPEC.to_json(),
        "labels": ["walk", "run"],
        "files": files,
        "training": {"seed": 3},
    }
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    return tmp_path


def change(folder: Path, **values: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    kept = {name: value for name, value in (manifest | values).items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps(kept))


def test_an_opened_bundle_knows_its_spec_labels_and_files(folder: Path) -> None:
    bundle = Bundle.open(str(folder))
    assert (bundle.name, bundle.spec, bundle.labels) == ("walker", SPEC, ("walk", "run"))
    assert bundle.file(WEIGHTS).read_bytes() == b"its weights"
    assert bundle.version == sha256_of(folder / MODEL)[:12]
    assert bundle.manifest["training"] == {"seed": 3}


def test_a_file_that_it_does_not_hold_is_an_error_that_lists_what_it_holds(folder: Path) -> None:
    with pytest.raises(BundleError, match=r"holds no model\.plan; it has model\.onnx, student"):
        Bundle.open(folder).file("model.plan")


@pytest.mark.parametrize("name", [MODEL, WEIGHTS])
@pytest.mark.parametrize("position", [0, -1])
def test_one_changed_bit_anywhere_is_refused(folder: Path, name: str, position: int) -> None:
    content = bytearray((folder / name).read_bytes())
    content[position] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was changed"):
        Bundle.open(folder)


@pytest.mark.parametrize("name", [MODEL, WEIGHTS])
def test_a_shorter_and_a_missing_file_are_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(BundleError, match="was changed"):
        Bundle.open(folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"lacks {name}"):
        Bundle.open(folder)


def test_a_folder_without_a_manifest_is_no_bundle_and_says_how_to_make_one(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BundleError, match="motionfit-export CHECKPOINT -o BUNDLE"):
            Bundle.open(folder)


@pytest.mark.parametrize("text", ["", "{", "\x00", "[]", "3", '"bundle"', '{"format": 2}', "{}"])
def test_a_manifest_of_another_kind_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match=r"bundle\.json is (not JSON|of format)"):
        Bundle.open(folder)


def test_a_manifest_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match="not JSON"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"name": None},
        {"spec": None},
        {"spec": {"num_frames": 8}},
        {"spec": SPEC.to_json() | {"num_frames": "8"}},
        {"spec": SPEC.to_json() | {"mean": [0.1, 0.2]}},
        {"labels": None},
        {"labels": []},
        {"labels": 3},
        {"files": None},
        {"files": [MODEL]},
        {"files": {MODEL: "abc"}},
        {"files": {}},
    ],
)
def test_a_manifest_with_wrong_fields_is_refused(folder: Path, values: dict[str, Any]) -> None:
    change(folder, **values)
    with pytest.raises(BundleError, match=r"bundle\.json (is not a valid manifest|lacks|names no)"):
        Bundle.open(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "sub/file", ".."])
def test_a_manifest_cannot_name_files_outside_the_bundle(folder: Path, name: str) -> None:
    outside = folder.parent / "outside"
    outside.write_bytes(b"a network")
    entry = {"sha256": sha256_of(outside)}
    files = json.loads((folder / MANIFEST).read_text())["files"]
    change(folder, files=files | {name: entry})
    with pytest.raises(BundleError):
        Bundle.open(folder)


def test_each_runtime_loads_the_file_that_is_fastest_there(folder: Path) -> None:
    plain = {"onnxruntime/cpu": MODEL, "onnxruntime/cuda": MODEL, "openvino/cpu": MODEL}
    assert Bundle.open(folder).runs == plain  # as exports of older versions are
    assert loaded_files({MODEL, LOWERED}) == plain | {"onnxruntime/cpu": LOWERED}
    assert loaded_files({MODEL, PLAN}) == plain | {"tensorrt/cuda": PLAN}
