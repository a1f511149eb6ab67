"""``motionfit-serve classify``: answers without a server."""

import json
import subprocess
from pathlib import Path

import pytest

from motionfit.inference.bundle import Bundle
from motionfit.serving.schemas import AnswerBody
from tests.serving.conftest import COMMAND, LABELS, colour_video, write_bundle


def classify(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, "classify", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.mkv" for name in LABELS]
    for path, rgb in zip(paths, ((250, 0, 0), (0, 250, 0), (0, 0, 250)), strict=True):
        path.write_bytes(colour_video(rgb))
    return paths


def test_each_video_gets_its_line(bundle: Path, videos: list[Path]) -> None:
    done = classify("--bundle", bundle, *videos)
    assert (done.returncode, done.stderr.count("error")) == (0, 0)
    lines = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"{v}: {v.stem}" for v in videos]


def test_bad_video_is_one_line_and_the_others_go_on(bundle: Path, videos: list[Path]) -> None:
    bad = videos[0].with_name("not [a] video.mp4")
    bad.write_text("hello")
    missing = bad.with_name("missing.mp4")
    done = classify("--bundle", bundle, bad, videos[0], missing, videos[1])
    assert done.returncode == 1
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [
        f"{video}: {video.stem}" for video in videos[:2]
    ]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert errors[0].startswith(f"error: {bad}: ")
    assert str(missing) in errors[1]
    assert "Traceback" not in done.stderr


def test_json_is_one_object_a_line(bundle: Path, videos: list[Path]) -> None:
    done = classify("--bundle", bundle, "--json", "--clips", 2, "--top", 1, *videos)
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item.pop("file") for item in objects] == [str(video) for video in videos]
    answers = [AnswerBody.model_validate(item) for item in objects]
    assert [answer.label for answer in answers] == list(LABELS)
    assert all((len(a.clips), len(a.top)) == (2, 1) for a in answers)
    assert {answer.model.version for answer in answers} == {Bundle.open(bundle).version}


def test_score_under_the_threshold_is_none_of_these(tmp_path: Path, videos: list[Path]) -> None:
    folder = write_bundle(tmp_path / "strict")
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["spec"]["abstain_threshold"] = 1.0
    manifest["spec"]["temperature"] = 100.0
    (folder / "bundle.json").write_text(json.dumps(manifest))
    done = classify("--bundle", folder, videos[0])
    assert done.returncode == 0
    assert f"{videos[0]}: none of these" in done.stdout


def test_wrong_use_ends_with_code_2() -> None:
    assert classify().returncode == 2
    assert classify("--top", 0, "a.mp4").returncode == 2


def test_help_names_units_and_defaults() -> None:
    for command in ("run", "classify"):
        done = subprocess.run([COMMAND, command, "--help"], capture_output=True, text=True)
        assert done.returncode == 0
        assert "default:" in done.stdout
    run = subprocess.run([COMMAND, "run", "--help"], capture_output=True, text=True).stdout
    assert "MiB" in run
    assert "Seconds" in run
