"""Who is let in: as many as may wait, and none that would wait too long."""

import asyncio

import pytest

from motionfit.serving.errors import Overloaded
from motionfit.serving.work.admission import Admission
from motionfit.serving.work.deadline import Deadline

FAR = Deadline.of(3600)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def after_requests_of(seconds: float, *, clock: Clock, servers: int, limit: int) -> Admission:
    """A queue that has seen a few requests, each of which took one server ``seconds``."""
    admission = Admission(limit, servers=servers, clock=clock)
    for _ in range(5):
        with admission.enter(FAR):
            clock.now += seconds
    return admission


def test_as_many_wait_as_may_and_the_next_is_refused() -> None:
    admission = Admission(2, servers=3)
    with admission.enter(FAR), admission.enter(FAR), admission.enter(FAR):
        assert admission.waiting == 0
        with admission.enter(FAR), admission.enter(FAR):
            assert admission.waiting == 2
            with pytest.raises(Overloaded, match="2 requests wait already") as refusal:
                admission.check(FAR)
            assert refusal.value.retry_after_seconds == 1
        with admission.enter(FAR):
            assert admission.waiting == 1


def test_place_is_free_again_after_a_failure() -> None:
    admission = Admission(1, servers=1)
    for _ in range(5):
        with pytest.raises(ValueError, match="broken"), admission.enter(FAR):
            raise ValueError("broken")
    assert admission.waiting == 0


def test_time_to_wait_is_known_from_the_requests_before() -> None:
    clock = Clock()
    admission = after_requests_of(2.0, clock=clock, servers=2, limit=10)
    assert admission.wait_seconds() == 0
    with admission.enter(FAR), admission.enter(FAR):
        assert admission.wait_seconds() == pytest.approx(1)
        with admission.enter(FAR), admission.enter(FAR):
            assert admission.wait_seconds() == pytest.approx(3)


def test_parallel_servers_are_counted_by_the_time_they_were_busy() -> None:
    clock = Clock()
    admission = Admission(10, servers=2, clock=clock)
    for _ in range(5):  # two at a time, 4 s each
        with admission.enter(FAR), admission.enter(FAR):
            clock.now += 4.0
    with admission.enter(FAR), admission.enter(FAR):
        assert admission.wait_seconds() == pytest.approx(2, rel=0.1)


def test_who_could_not_be_answered_in_time_is_refused_although_there_is_room() -> None:
    admission = after_requests_of(5.0, clock=Clock(), servers=1, limit=10)
    with admission.enter(FAR), admission.enter(FAR):
        with pytest.raises(Overloaded, match="most of the 12 s allowed") as refusal:
            admission.check(Deadline.of(12))
        assert refusal.value.retry_after_seconds == 10
        admission.check(Deadline.of(60))


def test_who_gives_up_does_not_make_the_others_look_quick() -> None:
    admission = after_requests_of(5.0, clock=Clock(), servers=1, limit=10)
    for error in (asyncio.CancelledError(), FAR.waited(retry_after_seconds=1)):
        for _ in range(20):
            with pytest.raises(type(error)), admission.enter(FAR):
                raise error
    with admission.enter(FAR):
        assert admission.wait_seconds() == pytest.approx(5)


def test_whoever_need_not_wait_is_let_in_however_slow_the_last_ones_were() -> None:
    admission = after_requests_of(100.0, clock=Clock(), servers=2, limit=10)
    with admission.enter(FAR):
        admission.check(Deadline.of(1))
