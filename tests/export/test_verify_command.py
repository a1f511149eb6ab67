import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from motionfit.export.clips import RealClips, clips_of_run
from motionfit.export.parity import Accuracy
from motionfit.export.pipeline import Export
from motionfit.export.report import report_markdown, write_report
from motionfit.export.verify_command import verify_command
from motionfit.inference.bundle import MODEL
from motionfit.inference.errors import BundleError, VerificationError
from tests.export.perturbed import perturb_classifier
from tests.plans import name_in_manifest


def invoke(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(verify_command)
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def clips(export: Export, run_folder: Path) -> RealClips:
    return clips_of_run(run_folder, spec=export.bundle.spec)


def test_a_bundle_that_agrees_is_reported_in_a_table_and_in_two_files(
    export: Export, videos: list[Path], tmp_path: Path
) -> None:
    done = invoke(export.bundle.path, "--clips", videos[0], "-o", tmp_path / "report")
    assert done.exit_code == 0
    assert "…" not in done.stdout
    assert "Held against student.safetensors on 4 real clips" in done.stdout
    assert done.stdout.count("in openvino/cpu") == 2
    record = json.loads((tmp_path / "report" / "parity.json").read_text())
    assert record["problems"] == []
    assert record["version"] == export.bundle.version
    assert record["clips"]["count"] == 4
    assert [result["subject"] for result in record["results"]] == [
        "model.onnx in onnxruntime/cpu",
        "model.onnx in openvino/cpu",
        "model.lowered.onnx in onnxruntime/cpu",
        "model.lowered.onnx in openvino/cpu",
    ]
    markdown = (tmp_path / "report" / "parity.md").read_text()
    assert markdown.count("| yes |") == 4
    assert "batches of 8 and 32" in markdown


def test_a_bundle_that_does_not_agree_is_reported_and_refused(
    bundle_copy: Path, tmp_path: Path
) -> None:
    perturb_classifier(bundle_copy / MODEL)
    name_in_manifest(bundle_copy, MODEL)
    done = invoke(bundle_copy, "-o", tmp_path)
    assert isinstance(done.exception, VerificationError)
    assert "against student.safetensors" in str(done.exception)
    assert "## Outside the limits" in (tmp_path / "parity.md").read_text()
    assert json.loads((tmp_path / "parity.json").read_text())["problems"]


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    done = invoke(tmp_path)
    assert isinstance(done.exception, BundleError)


def test_accuracy_is_shown_where_classes_are_known(export: Export, clips: RealClips) -> None:
    known = [
        replace(result, accuracy=Accuracy(found=0.75, reference=0.5, clips=4))
        for result in export.parity
    ]
    assert "no clip is of known class" in report_markdown(
        export.parity, bundle=export.bundle, clips=clips
    )
    text = report_markdown(known, bundle=export.bundle, clips=clips)
    assert "top-1 is on the 4 clips of known class" in text
    assert "| 75.0% (50.0%) |" in text


def test_a_report_is_written_anew(export: Export, clips: RealClips, tmp_path: Path) -> None:
    for _ in range(2):
        write_report(export.parity, tmp_path / "a", bundle=export.bundle, clips=clips)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["parity.json", "parity.md"]
