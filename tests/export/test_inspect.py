"""inspect tells what is there, and no file makes it crash."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from motionfit.export.inspect_onnx import Convolutions, onnx_facts
from motionfit.export.inspect_plan import plan_header
from motionfit.export.inspection import inspect
from motionfit.export.pipeline import Export
from motionfit.inference.bundle import (
    MANIFEST,
    MODEL,
    PLAN,
    RTX_PLAN,
    WEIGHTS,
    embedded_path,
    sidecar,
)
from motionfit.inference.errors import BundleError
from motionfit.inference.plan_library import PlanKind
from tests.nvidia_driver import H100, Driver, pretend_installed, put_in_place
from tests.plans import RECORD, name_in_manifest, plan_bytes, write_plan_like

Contents = Callable[[Path], dict[str, bytes]]

MAIN = "from motionfit.export.cli import main; main()"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.modules['torch'] = None; {MAIN}"  # it is not for looking at files
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, "inspect", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def tiny_network(path: Path, *, data_type: int, rank: int, external: str | None = None) -> Path:
    """One convolution."""
    shape = [1, 1, *(3,) * rank]
    weight = TensorProto(name="weight", data_type=data_type, dims=shape)
    if external is None:
        weight.raw_data = bytes(3**rank * (2 if data_type == TensorProto.FLOAT16 else 4))
    else:
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=external)
    sizes = ["batch", 1, *(8,) * rank]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "weight"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", data_type, sizes)],
        [helper.make_tensor_value_info("y", data_type, None)],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    path.write_bytes(model.SerializeToString())
    return path


def test_a_bundle_shows_its_files_and_what_each_runtime_loads(export: Export) -> None:
    found = inspect(export.bundle.path)
    assert (found.kind, found.problems) == ("bundle", ())
    assert {file.name for file in found.files} == set(export.bundle.files)
    facts = next(file.onnx for file in found.files if file.name == MODEL)
    assert facts is not None
    assert (facts.opset, facts.batch_norms, facts.lowered) == (18, 0, False)
    assert facts.convolutions == (Convolutions(count=37, dtype="FLOAT", rank=3),)
    assert facts.inputs[0].shape == ("batch", 4, 32, 32, 3)
    assert {"motionfit.spec", "motionfit.labels"} <= set(facts.metadata)
    runs = {run.runtime: run for run in found.runs}
    assert {name: run.file for name, run in runs.items()} == export.bundle.runs
    assert runs["onnxruntime/cpu"].problem is None
    assert runs["openvino/cpu"].problem is None


def test_the_embedded_student_is_what_is_looked_at_without_a_path() -> None:
    found = inspect(None)
    assert found.path == embedded_path()
    assert found.problems == ()


def test_a_network_in_half_precision_and_one_in_2d_are_told_apart(tmp_path: Path) -> None:
    half = onnx_facts(tiny_network(tmp_path / "half", data_type=TensorProto.FLOAT16, rank=3))
    assert half.convolutions == (Convolutions(count=1, dtype="FLOAT16", rank=3),)
    assert not half.lowered
    lowered = onnx_facts(tiny_network(tmp_path / "lowered", data_type=TensorProto.FLOAT, rank=2))
    assert lowered.convolutions == (Convolutions(count=1, dtype="FLOAT", rank=2),)
    assert lowered.lowered


def test_weights_in_another_file_are_named_and_missed(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(108))
    path = tiny_network(
        tmp_path / "model.onnx", data_type=TensorProto.FLOAT, rank=3, external="weights"
    )
    assert onnx_facts(path).data_files == ("weights",)
    (tmp_path / "weights").unlink()
    with pytest.raises(BundleError, match="weights, which is not beside it"):
        inspect(path)


@pytest.mark.parametrize(
    ("driver", "wheels", "says"),
    [
        (None, {}, "TensorRT is not installed"),
        (None, {"tensorrt-cu13-bindings": "11.4.0.106"}, "TensorRT 10.13.3.9 built it and 11.4"),
        (Driver(H100), {"tensorrt-cu13-bindings": "10.13.3.9"}, "RTX 4090 .8.9. and this machine"),
    ],
)
def test_a_plan_for_others_is_shown_with_why_it_does_not_run_here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    driver: Driver | None,
    wheels: dict[str, str],
    says: str,
) -> None:
    path = write_plan_like(tmp_path / PLAN)
    put_in_place(monkeypatch, driver)
    pretend_installed(monkeypatch, wheels)
    found = inspect(path)
    assert (found.kind, found.problems) == ("plan", ())
    (run,) = found.runs
    assert run.runtime == "tensorrt/cuda"
    with pytest.raises(BundleError, match=says):
        raise BundleError(run.problem)
    json.dumps(found.to_json())


def test_a_plan_without_its_sidecar_says_who_built_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PLAN).write_bytes(plan_bytes(PlanKind.TENSORRT, version="10.13.3.9"))
    pretend_installed(monkeypatch, {})
    (run,) = inspect(tmp_path / PLAN).runs
    assert run.problem == "it was built by TensorRT 10.13.3.9, and that is not installed"
    pretend_installed(monkeypatch, {"tensorrt-cu13-bindings": "10.13.3.9"})
    (run,) = inspect(tmp_path / PLAN).runs
    assert run.problem == "model.plan.json is missing, which says for which GPU it was built"


def test_a_plan_that_tensorrt_rtx_wrote_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    network.mark_output(
        network.add_activation(
            network.add_input("x", trt.float32, (1, 8)), trt.ActivationType.RELU
        ).get_output(0)
    )
    path = tmp_path / RTX_PLAN
    path.write_bytes(builder.build_serialized_network(network, builder.create_builder_config()))
    header = plan_header(path)
    assert header is not None
    assert (header.kind, header.version) == (PlanKind.RTX, trt.__version__)
    assert header.bytes == path.stat().st_size


def test_damaged_plans_and_sidecars_are_one_clear_error(tmp_path: Path) -> None:
    rtx = write_plan_like(tmp_path / RTX_PLAN, replace(RECORD, kind=PlanKind.RTX, gpu=None))
    rtx.write_bytes(rtx.read_bytes()[:-1])
    with pytest.raises(BundleError, match="it has 99 bytes and should have 100"):
        inspect(rtx)
    plan = write_plan_like(tmp_path / PLAN)
    plan.write_bytes(plan.read_bytes()[:-1])
    with pytest.raises(BundleError, match="was changed or cut short"):
        inspect(plan)
    plan.with_name(sidecar(PLAN)).write_text('{"format": 1}')
    with pytest.raises(BundleError, match="does not describe a plan"):
        inspect(plan)
    plan.write_bytes(b"junk" * 100)
    with pytest.raises(BundleError, match="no TensorRT plan"):
        inspect(plan)


def test_what_is_none_of_the_three_is_one_clear_error(export: Export, tmp_path: Path) -> None:
    content = export.bundle.file(MODEL).read_bytes()
    for name, bytes_ in (("cut.onnx", content[:-1000]), ("empty", b""), ("note.json", b"{}")):
        (tmp_path / name).write_bytes(bytes_)
        with pytest.raises(BundleError, match="export it again"):
            inspect(tmp_path / name)
    with pytest.raises(BundleError, match="there is no"):
        inspect(tmp_path / "missing")
    with pytest.raises(BundleError, match="is not a bundle"):
        inspect(tmp_path)
    with pytest.raises(BundleError, match="export it again"):
        inspect(export.bundle.file(WEIGHTS))


def test_a_damaged_file_of_a_bundle_is_named_and_the_others_are_shown(bundle_copy: Path) -> None:
    write_plan_like(bundle_copy / PLAN)
    name_in_manifest(bundle_copy, PLAN, sidecar(PLAN))
    content = (bundle_copy / MODEL).read_bytes()
    (bundle_copy / MODEL).write_bytes(content[: len(content) // 2])
    (bundle_copy / WEIGHTS).unlink()
    found = inspect(bundle_copy)
    assert [problem.split(" ")[1] for problem in sorted(found.problems)] == ["lacks", "was"]
    files = {file.name: file for file in found.files}
    assert files[PLAN].plan is not None
    assert files[MODEL].onnx is None
    (openvino,) = (run for run in found.runs if run.runtime == "openvino/cpu")
    assert openvino.problem == files[MODEL].problem

    name_in_manifest(bundle_copy, MODEL)  # as if it had been cut short before it was hashed
    (problem,) = (file.problem for file in inspect(bundle_copy).files if file.name == MODEL)
    assert problem is not None
    assert "cut short" in problem


def test_a_manifest_that_leads_outside_shows_nothing_of_there(bundle_copy: Path) -> None:
    manifest = json.loads((bundle_copy / MANIFEST).read_text())
    manifest["files"]["../../secret"] = {"sha256": "0" * 64, "bytes": 1}
    (bundle_copy / MANIFEST).write_text(json.dumps(manifest))
    (bundle_copy.parents[1] / "secret").write_text("secret")
    (file,) = (file for file in inspect(bundle_copy).files if file.name == "../../secret")
    assert (file.bytes, file.onnx) == (0, None)
    assert "not inside the bundle" in str(file.problem)


def test_the_command_prints_tables_or_json_and_exits_with_1_for_damage(
    bundle_copy: Path, contents: Contents
) -> None:
    write_plan_like(bundle_copy / PLAN)
    name_in_manifest(bundle_copy, PLAN, sidecar(PLAN))
    before = contents(bundle_copy)
    tables = run(bundle_copy)
    assert (tables.returncode, tables.stderr) == (0, "")
    for word in ("37 3-D FLOAT", "opset 18", "RTX 4090", "10.13.3.9", "openvino/cpu", "yes", "no:"):
        assert word in tables.stdout
    printed = run(bundle_copy, "--json")
    assert (printed.returncode, printed.stderr) == (0, "")
    found = json.loads(printed.stdout)
    assert found["kind"] == "bundle"
    (plan,) = (file["plan"] for file in found["files"] if file["name"] == PLAN)
    assert plan["record"]["gpu"]["compute_capability"] == "8.9"
    assert contents(bundle_copy) == before

    (bundle_copy / WEIGHTS).unlink()
    damaged = run(bundle_copy, "--json")
    assert damaged.returncode == 1
    assert damaged.stderr.startswith("error: ")
    assert damaged.stderr.count("\n") == 1
    assert json.loads(damaged.stdout)["manifest"]["name"] == found["manifest"]["name"]
