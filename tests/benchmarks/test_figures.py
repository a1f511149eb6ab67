from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motionfit.benchmarks import figures
from motionfit.benchmarks.result import Model, Result, write_result

MakeResult = Callable[..., Result]
SHIPPED = "ab" * 32
MEDIAN = "cases[name=a.mp4/total/onnx].summary.median.value"


@pytest.fixture(scope="module")
def results_dir(
    timing_result: MakeResult,
    accuracy_result: MakeResult,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("results")
    samples = {"a.mp4/decode/child": [3.0] * 64, "a.mp4/total/onnx": [1234.56] * 64}
    write_result(timing_result(samples), folder / "latency.json")
    write_result(accuracy_result([True] * 7 + [False]), folder / "accuracy.json")
    write_result(timing_result(samples, model=None), folder / "nomodel.json")
    return folder


def check(
    text: str,
    results_dir: Path,
    *,
    sha256: str = SHIPPED,
    recipe: dict[str, Any] | None = None,
) -> list[str]:
    shipped = Model(name="shipped", sha256=sha256, recipe=recipe)
    return figures.check(text, results_dir=results_dir, shipped=shipped)


@pytest.mark.parametrize(
    "text",
    [
        f"It takes 1234.6<!-- figure: latency.json#{MEDIAN} .1f --> ms.",
        f"| total | 1,235<!--figure: latency.json#{MEDIAN} ,.0f--> |",
        f"It takes 1.2e+03<!-- figure: latency.json#{MEDIAN} .2g -->.",
        "64<!-- figure: latency.json#cases[0].summary.n d --> samples",
        "right: 87.5%<!-- figure: accuracy.json#accuracy.top1.value .1% -->, see",
        "+87.5<!-- figure: accuracy.json#accuracy.top1.value +.1p --> points",
        "No figure at all.",
    ],
)
def test_a_figure_that_is_the_one_in_its_file_holds(text: str, results_dir: Path) -> None:
    assert check(text, results_dir) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"1234.5<!-- figure: latency.json#{MEDIAN} .1f -->", "is 1234.6, the text says 1234.5"),
        (f"91234.6<!-- figure: latency.json#{MEDIAN} .1f -->", "the text says 91234.6"),
        (f"-1234.6<!-- figure: latency.json#{MEDIAN} .1f -->", "the text says -1234.6"),
        (f"fast<!-- figure: latency.json#{MEDIAN} .1f -->", "the text says no number"),
        (f"1234.6<!-- figure: latency.json#{MEDIAN} -->", "not understood"),
        (f"1234.6<!-- figure {MEDIAN} .1f", "not understood"),
        (f"1<!-- figure: latency.json#{MEDIAN} .1q -->", "'.1q' is not a format of a number"),
        ("87.5%<!-- figure: accuracy.json#accuracy.top1.value .1p -->", "is 87.5, the text says"),
        ("1<!-- figure: none.json#seed d -->", "there is no results file"),
        ("1<!-- figure: latency.json#cases[9].name d -->", "there is no [9]"),
        ("1<!-- figure: latency.json#cases[name=b].name d -->", "there is no [name=b]"),
        ("1<!-- figure: latency.json#cases.0 d -->", "there is no .0"),
        ("1<!-- figure: latency.json#noise.noisy d -->", "is not a number but False"),
        ("1<!-- figure: latency.json#cases[0].summary.p99 d -->", "is not a number but None"),
    ],
)
def test_a_figure_that_differs_or_has_no_source_is_a_problem(
    text: str, problem: str, results_dir: Path
) -> None:
    problems = check(f"Some words, {text}", results_dir)
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize(
    "text",
    [
        f"1234.6<!-- figure: latency.json#{MEDIAN} .1f -->",
        "See [all samples](benchmarks/results/latency.json).",
    ],
)
def test_a_result_of_another_model_than_the_shipped_is_a_problem(
    text: str, results_dir: Path
) -> None:
    assert check(text, results_dir) == []
    (problem,) = check(text, results_dir, sha256="cd" * 32)
    assert problem == (
        "latency.json was measured with the model abababababab, the one that ships is "
        "cdcdcdcdcdcd, of another recipe: make it again with  "
        "motionfit-bench latency embedded a.mp4"
    )


def test_a_result_without_a_model_can_be_of_no_other_model(results_dir: Path) -> None:
    text = f"1234.6<!-- figure: nomodel.json#{MEDIAN} .1f -->"
    assert check(text, results_dir, sha256="cd" * 32) == []


def test_the_schema_may_be_mentioned(results_dir: Path) -> None:
    assert check("The schema is benchmarks/results/schema.json.", results_dir) == []


def test_every_figure_is_checked_not_only_the_first(results_dir: Path) -> None:
    good = f"1234.6<!-- figure: latency.json#{MEDIAN} .1f -->"
    bad = "63<!-- figure: latency.json#cases[0].summary.n d -->"
    assert len(check(f"{good} {bad}\n{good}\n{bad}", results_dir)) == 2


def test_accuracy_may_be_that_of_a_student_trained_alike_and_latency_may_not(
    results_dir: Path, accuracy_result: MakeResult, timing_result: MakeResult, tmp_path: Path
) -> None:
    recipe = {"train": {"epochs": 3}}
    alike = Model(name="split", sha256="12" * 32, recipe=recipe)
    write_result(accuracy_result([True] * 8, model=alike), tmp_path / "accuracy.json")
    write_result(timing_result({"a": [1.0] * 64}, model=alike), tmp_path / "latency.json")
    accuracy = "100.0%<!-- figure: accuracy.json#accuracy.top1.value .1% -->"
    latency = "1.0<!-- figure: latency.json#cases[name=a].summary.median.value .1f -->"
    assert check(accuracy, tmp_path, recipe=recipe) == []
    (other,) = check(accuracy, tmp_path, recipe={"train": {"epochs": 4}})
    assert "of another recipe" in other
    assert len(check(latency, tmp_path, recipe=recipe)) == 1
    assert len(check(accuracy, tmp_path)) == 1
