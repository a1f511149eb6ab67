"""Figures quoted in a text are held to the results they come from.

A number in Markdown is tied to its source by a comment right behind it, invisible when rendered:

    12.3<!-- figure: latency.json#cases[name=bikes.mp4/total/onnx].summary.median.value .1f --> ms

that is, a file of the results folder, ``#``, a path into its JSON (keys joined by dots,
``[3]`` an item of a list, ``[key=value]`` the item that has that value), and a Python format, or
one that ends with ``p``: percentage points, a hundred times the number with as many decimals.
"""

import contextlib
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from motionfit.benchmarks.experiment.result import ExperimentResult
from motionfit.benchmarks.report.result import ReportResult
from motionfit.benchmarks.result import Model, Result, ResultError, read_result
from motionfit.training.report import Report

MARKER = re.compile(r"<!--\s*figure:\s*(?P<file>[^#\s]+)#(?P<path>\S+)\s+(?P<format>\S+)\s*-->")
ANY_MARKER = re.compile(r"<!--\s*figure\b.*?(-->|$)", re.MULTILINE)
NUMBER_BEFORE = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]\d+)?%?$|$")
FILE_MENTION = re.compile(r"benchmarks/results/([\w.-]+\.json)")
STEP = re.compile(r"\.?(?P<key>\w+)|\[(?P<index>\d+)\]|\[(?P<name>\w+)=(?P<value>[^\]]+)\]")
NOT_RESULTS = {"schema.json"}

Quotable = Result | Report | ExperimentResult | ReportResult


def check(text: str, *, results_dir: Path, shipped: Model) -> list[str]:
    """What is wrong with the figures of ``text``, one sentence each; empty when all hold.

    A quoted number must be the one in its file, as formatted. Every results file that the text
    quotes or mentions as ``benchmarks/results/NAME.json`` must name the model ``shipped``, or no
    model at all. Accuracy may also be that of one trained by the same recipe: a student that was
    trained on all videos leaves none to measure it on.
    """
    markers = list(MARKER.finditer(text))
    understood = {marker.start() for marker in markers}
    problems = [
        f"not understood: {found[0]}; write  <!-- figure: FILE.json#path format -->"
        for found in ANY_MARKER.finditer(text)
        if found.start() not in understood
    ]
    files = {marker["file"] for marker in markers}
    files |= set(FILE_MENTION.findall(text)) - NOT_RESULTS
    values: dict[str, Any] = {}
    for name in sorted(files):
        try:
            result = read_quotable(results_dir / name)
        except ResultError as error:
            problems.append(str(error))
            continue
        values[name] = result.model_dump(mode="json")
        problems += _model_problems(name, result, shipped=shipped)
    for marker in markers:
        if marker["file"] in values:
            quoted = NUMBER_BEFORE.search(text[: marker.start()])
            problems += _figure_problems(
                marker, quoted=quoted[0] if quoted else "", values=values[marker["file"]]
            )
    return problems


def read_quotable(path: Path) -> Quotable:
    """A result of motionfit-bench, or a report of motionfit-train evaluate. Raises ResultError."""
    for kind in (Report, ExperimentResult, ReportResult):
        with contextlib.suppress(OSError, ValidationError):
            return kind.model_validate_json(path.read_bytes())
    return read_result(path)


def _model_problems(name: str, result: Quotable, *, shipped: Model) -> list[str]:
    # About many networks, none of which ships.
    if isinstance(result, ExperimentResult | ReportResult):
        return []
    measured = result.model
    if measured is None or measured.sha256 == shipped.sha256:
        return []
    of_accuracy = isinstance(result, Report) or result.kind == "accuracy"
    if of_accuracy and measured.recipe is not None and measured.recipe == shipped.recipe:
        return []
    return [
        f"{name} was measured with the model {measured.sha256[:12]}, the one that ships is "
        f"{shipped.sha256[:12]}, of another recipe: make it again with  {result.command}"
    ]


def _figure_problems(marker: re.Match[str], *, quoted: str, values: Any) -> list[str]:
    source = f"{marker['file']}#{marker['path']}"
    try:
        value = look_up(values, marker["path"])
    except LookupError as error:
        return [f"{source}: {error.args[0]}"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [f"{source} is not a number but {value!r}"]
    try:
        expected = shown(value, marker["format"])
    except ValueError:
        return [f"{source}: {marker['format']!r} is not a format of a number; try .1f, .1% or .1p"]
    if quoted != expected:
        return [f"{source} is {expected}, the text says {quoted or 'no number'}"]
    return []


def shown(value: float, form: str) -> str:
    """The number as a text quotes it. Raises ValueError when ``form`` is no format of a number."""
    if form.endswith("p"):
        return format(100 * value, f"{form.removesuffix('p')}f")
    return format(value, form)


def look_up(value: Any, path: str) -> Any:
    """The part of a JSON value that ``path`` leads to. Raises LookupError when there is none."""
    position = 0
    while position < len(path):
        step = STEP.match(path, position)
        if step is None:
            raise LookupError(f"{path[position:]!r} is not a step of a path")
        value = _take(value, step)
        position = step.end()
    return value


def _take(value: Any, step: re.Match[str]) -> Any:
    if step["key"] is not None and isinstance(value, dict) and step["key"] in value:
        return value[step["key"]]
    if step["index"] is not None and isinstance(value, list) and int(step["index"]) < len(value):
        return value[int(step["index"])]
    if step["name"] is not None and isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and str(item.get(step["name"])) == step["value"]:
                return item
    raise LookupError(f"there is no {step[0]}")
