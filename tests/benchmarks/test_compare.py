import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionfit.benchmarks import rules
from motionfit.benchmarks.compare import compare
from motionfit.benchmarks.result import Model, Result, ResultError, read_result, write_result

MakeResult = Callable[..., Result]
Bench = Callable[..., "subprocess.CompletedProcess[str]"]


def times(scale: float = 1.0, *, n: int = 64, seed: int = 0) -> list[float]:
    return list(scale * np.random.default_rng(seed).normal(10, 0.5, n))


@pytest.fixture(scope="module")
def files(
    timing_result: MakeResult,
    accuracy_result: MakeResult,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("results")
    made = {
        "a": timing_result({"v/infer/onnx": times(), "v/post": times(0.1)}),
        "slower": timing_result({"v/infer/onnx": times(1.2, seed=1), "v/post": times(0.1)}),
        "few": timing_result({"v/infer/onnx": times(n=30), "v/post": times(n=10)}),
        "right": accuracy_result([True] * 16 + [False] * 4),
        "wrong": accuracy_result([True] * 12 + [False] * 8),
    }
    for name, result in made.items():
        write_result(result, folder / f"{name}.json")
    return folder


@pytest.mark.parametrize(
    ("first", "second", "rule", "broken", "reason"),
    [
        ("a", "slower", "infer.median>+5%", True, "%)"),
        ("a", "slower", "infer.median>+30%", False, "%)"),
        ("a", "slower", "infer/onnx.p90>+1.5", True, "(+1.8"),
        ("slower", "a", "infer.median>-10%", False, "(-1"),
        ("a", "a", "infer.median>-10%", True, "(+0.0%)"),
        ("a", "a", "post.max>+0%", False, "(+0.0%)"),
        ("a", "a", "infer.p95>+5%", True, "too few samples"),
        ("a", "few", "post.median>+5%", True, "too few samples"),
        ("right", "wrong", "accuracy.top1<-0.1", True, "0.8 -> 0.6 (-0.2)"),
        ("right", "wrong", "accuracy.top1<-0.3", False, "0.8 -> 0.6 (-0.2)"),
        ("right", "wrong", "accuracy.top5<-0.3", True, "nothing to count"),
    ],
)
def test_a_rule_is_broken_by_its_change_or_when_it_cannot_be_judged(
    first: str, second: str, rule: str, broken: bool, reason: str, files: Path
) -> None:
    (verdict,) = rules.judge(
        rules.parse(rule),
        read_result(files / f"{first}.json"),
        read_result(files / f"{second}.json"),
    )
    assert verdict.broken is broken
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("infer.median", "is not a rule: write NAME.STATISTIC>CHANGE"),
        ("infer.median>5%", "is not a rule"),
        ("infer>+5%", "is not a rule"),
        ("infer.median>+5 %", "is not a rule"),
        ("infer.top1>+5%", "infer has no top1; its statistics are median"),
        ("accuracy.median>+5%", "accuracy has no median; its statistics are top1"),
    ],
)
def test_a_malformed_rule_is_refused(rule: str, message: str) -> None:
    with pytest.raises(rules.RuleError, match=message):
        rules.parse(rule)


def test_exit_codes_are_0_kept_1_broken_2_malformed(files: Path, bench: Bench) -> None:
    def compared(*rules: str) -> "subprocess.CompletedProcess[str]":
        options = [part for rule in rules for part in ("--fail-if", rule)]
        return bench("compare", files / "a.json", files / "slower.json", *options)

    kept = compared("infer.median>+30%", "post.median>+30%")
    assert kept.returncode == 0, kept.stderr
    assert "kept: infer.median>+30%  v/infer/onnx: " in kept.stdout
    broken = compared("infer.median>+30%", "infer.median>+5%")
    assert broken.returncode == 1
    assert "broken: infer.median>+5%  v/infer/onnx: " in broken.stdout
    assert "second / first" in broken.stdout
    assert broken.stderr == ""
    malformed = compared("infer.median>5%")
    assert (malformed.returncode, malformed.stdout) == (2, "")
    nothing = compared("nothing.median>+5%")
    assert nothing.returncode == 2
    assert "the first result has no nothing; it has v/infer/onnx" in " ".join(
        nothing.stderr.replace("│", " ").split()
    )


def test_results_of_different_kinds_are_refused(files: Path, bench: Bench) -> None:
    done = bench("compare", files / "a.json", files / "right.json")
    assert done.returncode == 1
    assert "the first is latency, the second accuracy" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_file_is_wrong_use(files: Path, bench: Bench) -> None:
    assert bench("compare", files / "a.json", files / "none.json").returncode == 2


def test_a_slower_case_has_a_ratio_whose_interval_leaves_out_1(timing_result: MakeResult) -> None:
    first = timing_result({"infer": times(), "post": times(seed=2)})
    second = timing_result({"infer": times(1.2, seed=1), "post": times(seed=3)})
    infer, post = compare(first, second).times
    assert infer.ratio is not None
    assert post.ratio is not None
    assert 1.1 < infer.ratio.low < infer.ratio.value < infer.ratio.high < 1.3
    assert post.ratio.low < 1 < post.ratio.high


def test_accuracy_is_compared_video_by_video(accuracy_result: MakeResult) -> None:
    first, second = accuracy_result([True, False] * 10), accuracy_result([False, True] * 10)
    changes = {change.name: change for change in compare(first, second).accuracy}
    assert set(changes) == {"top1", "nll", "ece", "answered", "accuracy_of_answered"}
    top1 = changes["top1"].difference
    assert top1 is not None
    assert (top1.low, top1.value, top1.high) == (0, 0, 0)  # each cluster swaps two for two
    others = compare(first, accuracy_result([True] * 10)).accuracy
    assert all(change.difference is None for change in others)


def test_what_makes_two_results_incomparable_is_said(timing_result: MakeResult) -> None:
    first = timing_result({"infer": times()})
    assert compare(first, first).warnings == ()
    second = timing_result(
        {"post": times()},
        machine=first.machine.model_copy(update={"cores": 64}),
        model=Model(name="other", sha256="cd" * 32),
        settings={"rounds": 64, "threads": 1},
        libraries={"numpy": "2.4.7"},
        noise=first.noise.model_copy(update={"noisy": True}),
    )
    assert compare(first, second).warnings == (
        "measured on different machines",
        "measured with different models",
        "different settings: threads",
        "different versions of numpy",
        "only in one of them: infer, post",
        "the second was measured on a noisy machine",
    )
    busier = timing_result(
        {"infer": times()}, machine=first.machine.model_copy(update={"load_average": 9.0})
    )
    assert compare(first, busier).warnings == ()


def test_different_kinds_have_no_comparison(
    timing_result: MakeResult, accuracy_result: MakeResult
) -> None:
    with pytest.raises(ResultError, match="the first is latency, the second accuracy"):
        compare(timing_result({}), accuracy_result([True]))


def test_a_case_that_vanished_breaks_its_rule(timing_result: MakeResult) -> None:
    rule = rules.parse("infer.median>+5%")
    first = timing_result({"infer/onnx": times(), "infer/openvino": times()})
    second = timing_result({"infer/onnx": times(), "infer/new": times()})
    verdicts = {verdict.name: verdict for verdict in rules.judge(rule, first, second)}
    assert verdicts["infer/onnx"].broken is False
    assert verdicts["infer/openvino"].broken is True
    assert verdicts["infer/openvino"].reason == "missing in the second result"
    assert set(verdicts) == {"infer/onnx", "infer/openvino"}


def test_a_rule_speaks_of_whole_parts_of_names(timing_result: MakeResult) -> None:
    result = timing_result({"a.mp4/infer/onnx": times(), "a.mp4/infer/onnx-int8": times()})
    for target, count in [("infer/onnx", 1), ("infer", 2), ("a.mp4/infer", 2)]:
        assert len(rules.judge(rules.parse(f"{target}.median>+5%"), result, result)) == count
    with pytest.raises(rules.RuleError, match="has no onn"):
        rules.judge(rules.parse("onn.median>+5%"), result, result)
