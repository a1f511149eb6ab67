import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motionfit.benchmarks.figures import read_quotable
from motionfit.benchmarks.result import (
    FORMAT,
    Result,
    ResultError,
    TimedCase,
    read_result,
    shown_command,
    write_result,
)

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
MakeResult = Callable[..., Result]

# Format 1, byte for byte: what was written once must be readable as long as the format is 1.
LITERAL = """{
  "format": 1,
  "kind": "latency",
  "command": "motionfit-bench latency embedded a.mp4",
  "created_utc": "2026-01-02T03:04:05Z",
  "seed": 0,
  "settings": {"rounds": 64, "threads": null},
  "machine": {
    "cpu": "Made CPU",
    "architecture": "x86_64",
    "cores": 2,
    "cpu_quota": null,
    "memory_bytes": 8000000000,
    "governor": null,
    "load_average": 0.1,
    "os": "Made Linux",
    "kernel": "6.1",
    "python": "3.11.9",
    "gpus": []
  },
  "noise": {"variation_before": 0.01, "variation_after": 0.01, "drift": 0.0, "noisy": false},
  "libraries": {"numpy": "2.4.6"},
  "model": {"name": "made", "sha256": "SHA"},
  "videos": [],
  "cases": [
    {
      "name": "a.mp4/post",
      "samples_ms": [1.5, 2.5],
      "summary": {
        "n": 2,
        "mean": 2.0,
        "min": 1.5,
        "max": 2.5,
        "median": null,
        "p90": null,
        "p95": null,
        "p99": null,
        "refused": {"median": "n too small: 2 samples, 11 needed", \
"p90": "n too small: 2 samples, 64 needed", "p95": "n too small: 2 samples, 130 needed", \
"p99": "n too small: 2 samples, 662 needed"}
      }
    }
  ],
  "ratios": [],
  "excluded": [],
  "accuracy": null
}
""".replace("SHA", "ab" * 32)


def test_the_format_is_the_one_written_down(timing_result: MakeResult, tmp_path: Path) -> None:
    result = timing_result({"a.mp4/post": [1.5, 2.5]})
    write_result(result, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == LITERAL
    assert read_result(tmp_path / "a.json") == result


@pytest.mark.parametrize("right", [[True], [True, False] * 10])
def test_accuracy_survives_the_file(
    right: list[bool], accuracy_result: MakeResult, tmp_path: Path
) -> None:
    result = accuracy_result(right)
    write_result(result, tmp_path / "a.json")
    assert read_result(tmp_path / "a.json") == result


def test_the_committed_schema_is_that_of_the_code() -> None:
    committed = json.loads((RESULTS / "schema.json").read_text())
    assert committed == Result.model_json_schema(), "see benchmarks/results/README.md"


def test_committed_results_can_be_read() -> None:
    for path in sorted(RESULTS.glob("*.json")):
        if path.name != "schema.json":
            assert read_quotable(path).format == FORMAT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, r"of format 2; this version of motionfit reads format 1: measure again"),
        ({"format": None}, r"of format None"),
        ({"surprise": 1}, r"surprise: Extra inputs are not permitted"),
        ({"seed": "often"}, r"seed: Input should be a valid integer"),
        ({"kind": "No Good"}, r"kind: String should match"),
        ({"created_utc": "2026-01-02T03:04:05"}, r"created_utc: .*timezone"),
        ({"model": {"name": "a", "sha256": "short"}}, r"model.sha256: String should match"),
        ({"machine": {}}, r"machine.cpu: Field required"),
        ({"cases": [{"name": "a", "samples_ms": []}]}, r"cases.0.samples_ms: .*at least 1 item"),
    ],
)
def test_what_is_not_a_result_is_refused_with_the_reason(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(json.loads(LITERAL) | change))
    with pytest.raises(ResultError, match=message):
        read_result(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[1]", "it names no format"),
        ("{}", "it names no format"),
    ],
)
def test_other_files_are_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ResultError, match=message):
        read_result(tmp_path / "a.json")
    with pytest.raises(ResultError, match="there is no results file"):
        read_result(tmp_path / "b.json")


def test_a_result_that_cannot_be_written_leaves_the_old_one(
    timing_result: MakeResult, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(OSError, match="a.json"):
        write_result(timing_result({"post": [1.0]}), path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_summary_refuses_what_its_samples_do_not_allow() -> None:
    few = TimedCase.of("a", [1.0] * 100, seed=0).summary
    assert few.median is not None
    assert few.p90 == 1.0
    assert few.p95 is None
    assert few.p99 is None
    assert set(few.refused) == {"p95", "p99"}
    many = TimedCase.of("a", [1.0] * 662, seed=0).summary
    assert many.p99 == 1.0
    assert many.refused == {}


def test_the_command_is_recorded_without_folders(tmp_path: Path) -> None:
    video = tmp_path / "my clip.mp4"
    video.touch()
    found = shown_command(
        ["latency", "embedded", str(video), f"-o{tmp_path}/a.json", f"--output={tmp_path}/b.json"]
        + ["-o", str(tmp_path / "c.json"), str(tmp_path) + "/", "--where", "label=x/y"]
    )
    assert found == (
        "motionfit-bench latency embedded 'my clip.mp4' -oa.json --output=b.json "
        f"-o c.json {tmp_path.name} --where label=x/y"
    )
