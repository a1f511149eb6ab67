"""Which plan is made where, and the line that says why none is."""

import pytest

from motionfit.export.plan_choice import PlanChoice, choose_plan
from motionfit.inference.errors import BackendError
from motionfit.inference.plan_library import PlanKind
from tests.nvidia_driver import H100, Driver, pretend_installed, put_in_place

FULL = {"tensorrt-cu13-bindings": "10.13.3.9"}
RTX = {"tensorrt-rtx-cu13-bindings": "1.7.1.116"}


def test_none_is_made_that_nobody_wants() -> None:
    assert choose_plan(wanted=False, required=False) == PlanChoice()


@pytest.mark.parametrize(
    ("driver", "wheels", "kind"),
    [
        (Driver(H100), FULL | RTX, PlanKind.TENSORRT),
        (None, FULL | RTX, PlanKind.RTX),
        (None, RTX, PlanKind.RTX),
    ],
)
def test_tensorrt_is_taken_where_it_can_build_and_rtx_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
    driver: Driver | None,
    wheels: dict[str, str],
    kind: PlanKind,
) -> None:
    put_in_place(monkeypatch, driver)
    pretend_installed(monkeypatch, wheels)
    assert choose_plan(wanted=True, required=False) == PlanChoice(kind=kind)


@pytest.mark.parametrize(
    ("wheels", "says"), [({}, "TensorRT is not installed"), (FULL, "there is no NVIDIA driver")]
)
def test_where_none_can_be_made_one_line_says_why_and_what_to_run_where(
    monkeypatch: pytest.MonkeyPatch, wheels: dict[str, str], says: str
) -> None:
    put_in_place(monkeypatch, None)
    pretend_installed(monkeypatch, wheels)
    skipped = choose_plan(wanted=True, required=False).skipped
    assert skipped is not None
    assert "\n" not in skipped
    assert says in skipped
    assert "motionfit-export BUNDLE --tensorrt" in skipped
    with pytest.raises(BackendError, match=says):
        choose_plan(wanted=True, required=True)


def test_plans_for_other_gpus_are_made_by_rtx_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_place(monkeypatch, Driver(H100))
    pretend_installed(monkeypatch, FULL)
    with pytest.raises(BackendError, match="TensorRT-RTX is not installed"):
        choose_plan(wanted=False, required=True, compute_capabilities=["8.9"])


def test_a_compute_capability_that_rtx_does_not_know_is_refused_at_once() -> None:
    pytest.importorskip("tensorrt_rtx")
    assert choose_plan(
        wanted=False, required=True, compute_capabilities=["8.6", "8.9"]
    ) == PlanChoice(kind=PlanKind.RTX)
    with pytest.raises(BackendError, match=r"compute capability 3\.5, only for"):
        choose_plan(wanted=False, required=True, compute_capabilities=["3.5"])
