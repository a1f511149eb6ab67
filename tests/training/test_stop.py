import os
import signal

import pytest

from motionfit.training.stop import stop_wish


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_and_the_second_acts_as_before(number: signal.Signals) -> None:
    def act(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(number, act)
    try:
        with stop_wish() as wish:
            os.kill(os.getpid(), number)
            assert wish.made
            with pytest.raises(InterruptedError):
                os.kill(os.getpid(), number)
        with stop_wish() as second:
            assert not second.made
        assert signal.getsignal(number) is act
    finally:
        signal.signal(number, before)
