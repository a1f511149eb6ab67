"""Every number that README, card and METHOD quote comes from a committed result."""

from pathlib import Path

import pytest

from motionfit.benchmarks.figures import MARKER, check
from motionfit.benchmarks.result import Model
from motionfit.inference.bundle import Bundle

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["README.md", "inference/STUDENT.md", "training/METHOD.md"])
def test_quoted_figures_are_those_of_the_shipped_student(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert MARKER.search(text), "no figure is tied to its file"
    shipped = Model.of(Bundle.open())
    assert check(text, results_dir=ROOT / "benchmarks" / "results", shipped=shipped) == []
