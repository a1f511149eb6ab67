import json
import math

import numpy as np
import pytest

from motionfit.export.parity import (
    ROW_DIFFERENCE,
    RUNTIME,
    Distance,
    Parity,
    distance,
    top1_agreement,
)
from motionfit.inference.tensors import Output

REFERENCE = Output(
    np.array([[10, 0], [0, 5]], np.float32), np.array([[1, 2, 3], [4, 5, 6]], np.float32)
)


def moved(by: float) -> Output:
    logits = REFERENCE.logits.copy()
    logits[1, 1] += by
    return Output(logits, REFERENCE.embedding)


def parity(found: Output, *, rows: Distance | None = None) -> Parity:
    return Parity(
        subject="rival",
        reference="student",
        distance=distance(found, REFERENCE),
        top1_agreement=top1_agreement(found, REFERENCE),
        rows=rows,
        limits=RUNTIME,
    )


def test_differences_are_measured_as_they_are() -> None:
    found = distance(moved(-0.5), REFERENCE).logits
    assert (found.largest, found.mean, found.scale) == (0.5, 0.125, 10.0)


def test_equal_outputs_have_no_problems() -> None:
    assert parity(REFERENCE, rows=distance(REFERENCE, REFERENCE)).problems() == []


@pytest.mark.parametrize(
    ("by", "allowed"), [(0.9, True), (1.1, False), (math.nan, False), (math.inf, False)]
)
def test_the_limit_is_a_share_of_the_largest_logit(by: float, allowed: bool) -> None:
    step = by * RUNTIME.difference * 10
    problems = parity(moved(step)).problems()
    assert bool(problems) is not allowed
    assert all("rival against student: logits differ by" in problem for problem in problems)


def test_another_best_class_is_a_problem() -> None:
    result = parity(moved(-6))
    assert result.top1_agreement == 0.5
    assert any("agrees on 50.0% of clips, needed are 100%" in line for line in result.problems())


def test_a_row_that_depends_on_its_batch_is_a_problem() -> None:
    rows = distance(moved(2 * ROW_DIFFERENCE * 10), REFERENCE)
    assert any("in a batch" in line for line in parity(REFERENCE, rows=rows).problems())


def test_the_record_is_json_and_names_the_limits() -> None:
    record = json.loads(json.dumps(parity(moved(0.001), rows=None).to_json()))
    assert record["limits"]["difference"] == RUNTIME.difference
    assert record["distance"]["logits"]["largest"] == pytest.approx(0.001, rel=1e-3)
