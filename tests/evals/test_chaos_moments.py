"""Moments of kills: drawn from a seed, told by the undisturbed run's own log."""

from __future__ import annotations

import pytest

from evals.chaos_moments import FIRST_EVENTS, Timeline, draw
from team.events import CellExecuted, Event, KernelChanged, MessageSpoken, ProgressMade


def timeline() -> Timeline:
    """Ten messages, a second apart from second 1 on, and a kernel from second 3.5 to second 8.5."""
    events: list[Event] = [MessageSpoken(turn=1, role="engineer", text="", at=100.0 + second) for second in range(1, 11)]
    events.insert(3, KernelChanged(change="started", at=103.5))
    events.insert(5, ProgressMade(call="c", facts={}, at=104.5))
    events.insert(9, CellExecuted(call="c", cell=0, status="ok", seconds=1.0, at=108.5))
    return Timeline(events, started=100.0, ended=112.0)


def test_a_time_is_a_place_in_the_log_and_the_seconds_since() -> None:
    line = timeline()
    assert line.seconds == 12.0
    assert line.place(0.25) == (0, 0.25)
    assert line.place(4.75) == (4, 0.75), "what tells of a process does not count"
    assert line.place(11.0) == (11, 1.0)


def test_the_kernel_is_there_from_its_start_to_the_end_of_the_last_cell() -> None:
    assert timeline().kernel == (3.5, 8.5)


@pytest.mark.parametrize("kind", ["docker", "bubblewrap"])
def test_the_same_seed_gives_the_same_moments_and_another_seed_others(kind: str) -> None:
    line = timeline()
    for chain in range(6):
        moments = draw(7, kind, chain, line, 5)
        assert len(moments) == 5
        assert moments == draw(7, kind, chain, line, 5)
        assert moments != draw(8, kind, chain, line, 5)


def test_every_other_chain_kills_inside_the_sandbox_and_containers_only_where_there_are_some() -> None:
    line = timeline()
    for chain in range(40):
        inside = [m for m in draw(0, "bubblewrap", chain, line, 5) if m.victim != "host"]
        assert len(inside) == (2 if chain % 2 else 0)
        assert {m.victim for m in inside} <= {"kernel"}
    in_docker = {m.victim for chain in range(40) for m in draw(0, "docker", chain, line, 5)}
    assert in_docker == {"host", "kernel", "container"}


def test_moments_lie_within_the_run_in_its_order_and_follow_only_on_a_kill_of_the_host() -> None:
    line = timeline()
    ways = set()
    for chain in range(100):
        moments = draw(3, "docker", chain, line, 5)
        ways |= {moment.by for moment in moments}
        placed = [moment for moment in moments if not moment.follows]
        assert [(m.after, m.delay) for m in placed] == sorted((m.after, m.delay) for m in placed)
        assert all(0 <= moment.after <= len(line.at) for moment in placed)
        for before, moment in zip([None, *moments], moments, strict=False):
            if moment.follows:
                assert before is not None
                assert before.victim == moment.victim == "host"
                assert (0.0 < moment.delay <= 1.0) if moment.by == "start" else (1 <= moment.after <= FIRST_EVENTS)
    assert ways == {"event", "time", "start", "resume"}
