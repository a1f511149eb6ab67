"""What is said of GPUs, and of a driver that is not there or does not answer."""

import pytest

from motionfit.inference.cuda_driver import Gpu, cuda_version, driver_problem, gpus
from tests.nvidia_driver import H100, RTX_4090, Driver, put_in_place


def test_gpus_are_told_with_name_compute_capability_and_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_in_place(monkeypatch, Driver(H100, RTX_4090, cuda=12040))
    assert gpus() == (
        Gpu(name=H100[0], compute_capability="9.0", memory_bytes=80 * 1024**3),
        Gpu(name=RTX_4090[0], compute_capability="8.9", memory_bytes=24 * 1024**3),
    )
    assert driver_problem() is None
    assert cuda_version() == (12, 4)


@pytest.mark.parametrize(
    ("driver", "problem"),
    [
        (None, "there is no NVIDIA driver"),
        (Driver(H100, status=100), "does not start (cuInit gives error 100"),
        (Driver(H100, fails=["cuDeviceGetCount"]), "does not answer (cuDeviceGetCount gives error"),
        (Driver(), "sees no GPU"),
    ],
)
def test_a_driver_that_has_no_gpu_to_offer_is_told_with_the_cause(
    monkeypatch: pytest.MonkeyPatch, driver: Driver | None, problem: str
) -> None:
    put_in_place(monkeypatch, driver)
    found = driver_problem()
    assert found is not None
    assert problem in found
    assert gpus() == ()


def test_a_driver_that_stops_answering_in_the_middle_gives_no_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_in_place(monkeypatch, Driver(H100, fails=["cuDeviceGetName", "cuDriverGetVersion"]))
    assert gpus() == ()
    assert cuda_version() is None
