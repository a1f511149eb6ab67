import json
import math

import numpy as np
import pytest

from motionfit.export.parity import HALF, RUNTIME, Distance, Limits, Parity, compare, distance
from motionfit.inference.tensors import Output

REFERENCE = Output(
    np.array([[10, 0], [0, 5]], np.float32), np.array([[1, 2, 3], [4, 5, 6]], np.float32)
)


def moved(by: float) -> Output:
    logits = REFERENCE.logits.copy()
    logits[1, 1] += by
    return Output(logits, REFERENCE.embedding)


def parity(found: Output, *, rows: Distance | None = None, limits: Limits = RUNTIME) -> Parity:
    return compare(
        found, REFERENCE, subject="rival", against="student", limits=limits, rows=rows, batches=(8,)
    )


def test_differences_are_measured_as_they_are() -> None:
    found = distance(moved(-0.5), REFERENCE).logits
    assert (found.largest, found.mean, found.scale) == (0.5, 0.125, 10.0)
    assert found.cosine == pytest.approx(1)


def test_the_cosine_is_that_of_the_worst_clip() -> None:
    turned = Output(np.array([[10, 0], [3, 4]], np.float32), REFERENCE.embedding)
    assert distance(turned, REFERENCE).logits.cosine == pytest.approx(0.8)
    assert distance(turned, REFERENCE).cosine == pytest.approx(0.8)


def test_two_zero_vectors_are_alike_and_one_is_like_nothing() -> None:
    nothing = Output(np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32))
    assert distance(nothing, nothing).cosine == 1
    something = Output(np.ones((1, 2), np.float32), np.ones((1, 3), np.float32))
    assert math.isnan(distance(nothing, something).cosine)


def test_the_divergence_is_that_of_the_softmax_in_nats() -> None:
    found = Output(np.log([[0.5, 0.5]]).astype(np.float32), np.ones((1, 1), np.float32))
    other = Output(np.log([[0.75, 0.25]]).astype(np.float32), np.ones((1, 1), np.float32))
    result = compare(found, other, subject="a", against="b", limits=RUNTIME)
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert result.divergence == pytest.approx(expected, rel=1e-6)
    assert any("diverge by" in problem for problem in result.problems())


def test_equal_outputs_have_no_problems() -> None:
    assert parity(REFERENCE, rows=distance(REFERENCE, REFERENCE)).problems() == []


@pytest.mark.parametrize(("by", "allowed"), [(0.9, True), (1.1, False)])
def test_the_limit_is_a_share_of_the_largest_logit(by: float, allowed: bool) -> None:
    problems = parity(moved(by * RUNTIME.difference * 10)).problems()
    assert bool(problems) is not allowed
    assert all("rival against student: logits differ by" in problem for problem in problems)


@pytest.mark.parametrize("step", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_outside_every_limit(step: float) -> None:
    problems = " ".join(parity(moved(step)).problems())
    assert "logits differ by" in problems
    assert "cosine falls to nan" in problems
    assert "diverge by" in problems


def test_another_best_class_is_a_problem() -> None:
    result = parity(moved(-6))
    assert result.top1_agreement == 0.5
    assert any("agrees on 50.0% of clips, needed are 100%" in line for line in result.problems())


def test_a_row_that_depends_on_its_batch_is_a_problem() -> None:
    rows = distance(moved(2 * RUNTIME.rows * 10), REFERENCE)
    assert any("in a batch" in line for line in parity(REFERENCE, rows=rows).problems())
    assert parity(REFERENCE, rows=rows, limits=HALF).problems() == []


def test_accuracy_counts_only_clips_of_known_class() -> None:
    found = moved(-6)
    parts = [
        compare(found, REFERENCE, subject="a", against="b", limits=HALF, true=true).accuracy
        for true in ((), (None, None), (None, 1), (0, 1))
    ]
    assert parts[:2] == [None, None]
    assert [(one.found, one.reference, one.clips) for one in parts[2:] if one] == [
        (0.0, 1.0, 1),
        (0.5, 1.0, 2),
    ]


def test_the_record_is_json_and_names_the_limits() -> None:
    record = json.loads(json.dumps(parity(moved(0.001), rows=None).to_json()))
    assert record["limits"]["difference"] == RUNTIME.difference
    assert record["distance"]["logits"]["largest"] == pytest.approx(0.001, rel=1e-3)
    assert record["batches"] == [8]
