import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from motionfit.benchmarks import latency
from motionfit.benchmarks.latency import Plan, measure_latency
from motionfit.benchmarks.result import ResultError, read_result
from motionfit.inference.bundle import Bundle, sha256_of
from motionfit.inference.errors import BackendError, MissingExtra
from motionfit.inference.runner import Backend, Output
from motionfit.inference.runner_onnx import OnnxRunner
from motionfit.inference.runner_openvino import OpenVinoRunner

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
STAGES = ["decode/in-process", "decode/child", "infer/onnx", "infer/openvino", "post"]
STAGES += ["total/onnx", "total/openvino"]


def plan(*videos: Path, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "backends": None,
        "num_clips": None,
        "threads": 1,
        "rounds": 3,
        "warmup_rounds": 1,
        "seed": 0,
    }
    return Plan(videos=videos, **(values | changes))


def test_every_stage_is_timed_on_every_runtime_and_written(
    bundle: Path, clip: Path, bench: Bench, tmp_path: Path
) -> None:
    done = bench(
        *("latency", bundle, clip, "--rounds", 64, "--warmup", 1, "--clips", 3),
        *("--threads", 1, "-o", tmp_path / "out.json"),
    )
    assert done.returncode == 0, done.stderr
    result = read_result(tmp_path / "out.json")
    assert [case.name for case in result.cases] == [f"a_red_clip.mp4/{s}" for s in STAGES]
    assert all(case.summary.n == 64 for case in result.cases)
    assert all(case.summary.p90 is not None for case in result.cases)
    assert all("p95" in case.summary.refused for case in result.cases)
    assert result.model is not None
    assert result.model.sha256 == sha256_of(bundle / "model.onnx")
    (video,) = result.videos
    assert (video.sha256, video.codec) == (sha256_of(clip), "mpeg4")
    assert (video.width, video.height, video.frame_rate) == (64, 48, 25.0)
    assert result.settings["clips"] == 3
    assert result.settings["runner_openvino"] == "openvino/cpu"
    assert [ratio.numerator for ratio in result.ratios] == [
        f"a_red_clip.mp4/{rival}" for rival in ("decode/child", "infer/openvino", "total/openvino")
    ]
    assert result.excluded == ()
    assert "p95: n too small: 64 samples, 130 needed" in done.stdout
    assert re.search(
        r"total/openvino takes \d+\.\d\d x .* the time of a_red_clip.mp4/total/onnx", done.stdout
    )
    assert str(tmp_path) not in (tmp_path / "out.json").read_text()
    assert str(clip.parent) not in (tmp_path / "out.json").read_text()


def test_a_slow_model_shows_in_inference_and_in_the_whole_only(
    bundle: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = OnnxRunner.run

    def slow(self: OnnxRunner, frames: Any) -> Output:
        time.sleep(0.25)
        return honest(self, frames)

    monkeypatch.setattr(OnnxRunner, "run", slow)
    found = measure_latency(Bundle.open(bundle), plan(clip, backends=(Backend.ONNX,)))
    fastest_ms = {case.name.partition("/")[2]: case.summary.min for case in found.cases}
    assert set(fastest_ms) == {stage for stage in STAGES if not stage.endswith("openvino")}
    assert {stage for stage, ms in fastest_ms.items() if ms > 250} == {"infer/onnx", "total/onnx"}


def test_a_runtime_that_answers_otherwise_is_listed_and_not_timed(
    bundle: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = OpenVinoRunner.run

    def wrong(self: OpenVinoRunner, frames: Any) -> Output:
        output = honest(self, frames)
        return Output(output.logits[:, ::-1] * 0.7, output.embedding)

    monkeypatch.setattr(OpenVinoRunner, "run", wrong)
    found = measure_latency(Bundle.open(bundle), plan(clip))
    names = [case.name for case in found.cases]
    assert "a_red_clip.mp4/infer/onnx" in names
    assert not [name for name in names if name.endswith("openvino")]
    (excluded,) = found.excluded
    assert excluded.name == "a_red_clip.mp4/infer/openvino"
    assert "output 0 differs by up to" in excluded.reason


def without(*missing: Backend) -> Callable[..., Any]:
    real = latency.Classifier.open

    def opened(bundle: Path, *, backend: Backend, threads: int | None) -> Any:
        if backend in missing:
            raise MissingExtra(f"{backend} is not installed")
        return real(bundle, backend=backend, threads=threads)

    return opened


def test_a_runtime_that_is_not_installed_is_listed_unless_asked_for(
    bundle: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency.Classifier, "open", without(Backend.ONNX))
    found = measure_latency(Bundle.open(bundle), plan(clip))
    assert [(one.name, one.reason) for one in found.excluded] == [("onnx", "onnx is not installed")]
    assert found.runners == {"openvino": "openvino/cpu"}
    with pytest.raises(MissingExtra, match="onnx is not installed"):
        measure_latency(Bundle.open(bundle), plan(clip, backends=(Backend.ONNX,)))
    monkeypatch.undo()
    monkeypatch.setattr(latency.Classifier, "open", without(Backend.ONNX, Backend.OPENVINO))
    with pytest.raises(BackendError, match="no runtime can be measured: openvino is not"):
        measure_latency(Bundle.open(bundle), plan(clip))


def test_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="two are called a_b.mp4"):
        latency.video_names([tmp_path / "x" / "a b.mp4", tmp_path / "c.mp4", tmp_path / "a_b.mp4"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backends", "onnx,tensorflow"], "'tensorflow' is not one of onnx, openvino"),
        (["--backends", "auto"], "'auto' is not one of onnx, openvino"),
        (["--rounds", "0"], "'--rounds': Input should be greater than or equal to 1"),
        (["-o", "no/such/folder/out.json"], "there is no folder no/such/folder to write into"),
        (["not-there.mp4"], "'not-there.mp4' does not exist"),
    ],
)
def test_wrong_use_is_exit_code_2(
    arguments: Sequence[str], message: str, bundle: Path, clip: Path, bench: Bench
) -> None:
    done = bench("latency", bundle, clip, *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_what_cannot_be_measured_is_one_line(bundle: Path, bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video " * 100)
    for target, video in [(tmp_path, tmp_path / "text.mp4"), (bundle, tmp_path / "text.mp4")]:
        done = bench("latency", target, video, "-o", tmp_path / "out.json")
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stderr.startswith("error: ")
        assert "text.mp4: " in done.stderr or "bundle.json" in done.stderr
        assert not (tmp_path / "out.json").exists()
