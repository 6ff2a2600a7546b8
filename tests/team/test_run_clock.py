from __future__ import annotations

import pytest

from team.run_clock import RunClock


def test_it_goes_on_from_what_the_process_before_had_counted() -> None:
    clock = RunClock(100.0, 40.0, 3.0)
    assert clock.seconds - clock.stage_seconds == pytest.approx(60, abs=5)
    assert clock.seconds >= 100
    assert clock.searched == 3.0


def test_a_time_in_which_the_run_stood_counts_neither_for_it_nor_for_its_stage() -> None:
    clock = RunClock(100.0, 40.0)
    clock.stood(30.0)
    assert 70 <= clock.seconds < 100
    assert 10 <= clock.stage_seconds < 40


def test_a_stage_counts_from_its_beginning() -> None:
    clock = RunClock(100.0, 40.0)
    clock.begin_stage(7.5)
    assert 0 <= clock.stage_seconds < 40
    assert clock.seconds >= 100
    assert clock.searched == 7.5
