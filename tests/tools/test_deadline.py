from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time

import pytest

from tools.deadline import Deadline, DeadlineReached, sheltered


def test_no_deadline_never_ends() -> None:
    deadline = Deadline()
    deadline.check()
    assert math.isinf(deadline.remaining())
    assert not deadline.expired()


def test_an_expired_deadline_raises() -> None:
    deadline = Deadline(0)
    assert deadline.expired()
    assert deadline.remaining() == 0
    with pytest.raises(DeadlineReached):
        deadline.check()


def test_a_share_ends_no_later_than_the_whole() -> None:
    assert Deadline(100).share(1).remaining() <= 1
    assert Deadline(1).share(100).remaining() <= 1
    assert math.isinf(Deadline().share(math.inf).remaining())


def test_ending_a_whole_ends_its_shares_and_is_told_from_time_that_is_over() -> None:
    whole = Deadline(100)
    share, other = whole.share(50).share(20), Deadline(0)
    assert not share.expired()
    whole.end()
    assert share.expired()
    assert share.ended
    assert share.remaining() == 0
    assert other.expired()
    assert not other.ended


def spin() -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pass


def test_the_alarm_ends_code_that_never_asks() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(DeadlineReached), Deadline(0.05).alarm():
        spin()
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_an_alarm_inside_another_leaves_it_its_time() -> None:
    def run() -> None:
        with Deadline(300).alarm():
            with Deadline(1000).alarm():
                pass
            with pytest.raises(DeadlineReached), Deadline(0.01).alarm():
                spin()
            assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 300
            signal.setitimer(signal.ITIMER_REAL, 0.01)  # its time is over
            spin()
            pytest.fail("the outer alarm is lost")

    with pytest.raises(DeadlineReached):
        run()
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_an_alarm_that_the_block_took_for_its_own_strikes_again() -> None:
    taken = []

    def run() -> None:
        with Deadline(0.05).alarm():
            while not taken:
                try:
                    spin()
                    pytest.fail("no alarm")
                except DeadlineReached:
                    taken.append(time.monotonic())
            for _ in range(60):
                signal.sigtimedwait([], 1)
            pytest.fail("no second alarm")

    with pytest.raises(DeadlineReached):
        run()
    assert len(taken) == 1


def test_other_threads_go_without_alarm() -> None:
    passed = []

    def work() -> None:
        with Deadline(0).alarm():
            passed.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert passed == [True]


def test_the_alarm_waits_for_code_that_it_would_abort() -> None:
    reached = []

    def run() -> None:
        with contextlib.ExitStack() as shelter:
            shelter.enter_context(sheltered())
            with Deadline(0.05).alarm():
                until = time.monotonic() + 0.2
                while time.monotonic() < until:
                    pass
                reached.append("the end of the shelter")
                shelter.close()
                spin()

    with pytest.raises(DeadlineReached):
        run()
    assert reached == ["the end of the shelter"]


class Dying:
    """Spins when it is collected, where the interpreter drops what is raised."""

    def __del__(self) -> None:
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            pass


def test_an_alarm_that_a_finaliser_swallowed_strikes_again() -> None:
    def run() -> None:
        with Deadline(0.05).alarm():
            Dying()
            spin()

    hook = sys.unraisablehook
    with pytest.raises(DeadlineReached):
        run()
    assert sys.unraisablehook is hook
