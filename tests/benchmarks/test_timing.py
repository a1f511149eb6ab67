import time
from collections.abc import Callable

import numpy as np
import pytest

from motionfit.benchmarks import noise
from motionfit.benchmarks.rivals import prove_equal
from motionfit.benchmarks.timing import Case, measure
from motionfit.inference.errors import BackendError


def recording(calls: list[str], name: str) -> Case:
    return Case(name=name, run=lambda: calls.append(name))


def test_every_round_runs_every_case_once_in_an_order_drawn_anew() -> None:
    calls: list[str] = []
    cases = [recording(calls, name) for name in "abcd"]
    measure(cases, rounds=30, warmup_rounds=0, seed=1)
    rounds = ["".join(calls[i : i + 4]) for i in range(0, len(calls), 4)]
    assert len(rounds) == 30
    assert all(sorted(one) == list("abcd") for one in rounds)
    assert len(set(rounds)) > 10
    assert {one[0] for one in rounds} == set("abcd")


def test_the_order_follows_from_the_seed() -> None:
    orders = []
    for seed in (5, 5, 6):
        calls: list[str] = []
        measure([recording(calls, name) for name in "abcd"], rounds=10, warmup_rounds=1, seed=seed)
        orders.append(calls)
    assert orders[0] == orders[1] != orders[2]


def test_warm_up_rounds_are_run_and_not_kept() -> None:
    naps = iter([0.3, 0.3] + [0.0] * 5)
    ticks: list[None] = []
    samples = measure(
        [Case(name="nap", run=lambda: time.sleep(next(naps)))],
        rounds=5,
        warmup_rounds=2,
        seed=0,
        after_round=lambda: ticks.append(None),
    )
    assert len(samples["nap"]) == 5
    assert max(samples["nap"]) < 300
    assert len(ticks) == 7


def test_samples_are_milliseconds() -> None:
    samples = measure(
        [Case(name="nap", run=lambda: time.sleep(0.01))], rounds=3, warmup_rounds=0, seed=0
    )
    assert 10 <= min(samples["nap"]) < 1000


def test_two_cases_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="different names, got a, a"):
        measure([recording([], "a"), recording([], "a")], rounds=1, warmup_rounds=0, seed=0)


def giving(name: str, *values: float, dtype: str = "float32") -> Case:
    return Case(name=name, run=lambda: np.array(values, dtype))


def raising(name: str, error: Exception) -> Case:
    def run() -> None:
        raise error

    return Case(name=name, run=run)


def single(array: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> tuple[object, ...]:
    return (array,)


@pytest.mark.parametrize(
    ("rival", "reason"),
    [
        (giving("rival", 1.0, 2.1), "output 0 differs by up to 0.1, allowed are 0.002"),
        (giving("rival", 1.0), r"output 0 is float32(1,) instead of float32(2,)"),
        (giving("rival", 1.0, 2.0, dtype="float64"), r"is float64(2,) instead of float32(2,)"),
        (giving("rival", 1.0, float("nan")), "differs by up to nan"),
        (raising("rival", BackendError("no such device")), "no such device"),
    ],
)
def test_a_rival_that_differs_is_listed_and_not_timed(rival: Case, reason: str) -> None:
    cases = [giving("first", 1.0, 2.0), rival, giving("twin", 1.001, 2.0)]
    kept, excluded = prove_equal(cases, arrays=single, tolerance=1e-3)  # type: ignore[arg-type]
    assert [case.name for case in kept] == ["first", "twin"]
    assert [one.name for one in excluded] == ["rival"]
    assert excluded[0].reason.startswith("against first: ")
    assert reason in excluded[0].reason


def test_without_tolerance_one_bit_is_too_much() -> None:
    cases = [giving("first", 200, dtype="uint8"), giving("rival", 201, dtype="uint8")]
    kept, _ = prove_equal(cases, arrays=single, tolerance=0)  # type: ignore[arg-type]
    assert [case.name for case in kept] == ["first"]


def test_an_error_of_the_first_is_not_hidden() -> None:
    with pytest.raises(BackendError, match="gone"):
        prove_equal([raising("first", BackendError("gone"))], arrays=single, tolerance=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "noisy"),
    [
        (lambda t: t, False),
        (lambda t: tuple(x * 1.2 for x in t), True),  # a slower machine afterwards
        (lambda t: (*t[:-6], *(x * 2 for x in t[-6:])), True),  # one that stutters
    ],
)
def test_a_noisy_machine_is_said_to_be_one(
    change: Callable[[tuple[float, ...]], tuple[float, ...]], noisy: bool
) -> None:
    quiet = tuple(np.random.default_rng(0).normal(1.0, 0.01, 60))
    assert noise.judge(quiet, change(quiet)).noisy is noisy


def test_the_probe_times_a_real_calculation() -> None:
    samples = noise.probe()
    assert len(samples) == noise.REPEATS
    assert min(samples) > 0.05
