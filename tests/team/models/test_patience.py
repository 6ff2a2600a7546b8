"""Waits and the breaker, by numbers."""

from __future__ import annotations

import pytest
from autogen_core.models import UserMessage

from team.errors import ModelOverloaded, ModelUnreachable, UnusableReply
from team.models.patience import CALL_S, LEFT_ALONE_S, LONGEST_LEFT_ALONE_S, MOST_ATTEMPTS, TRIPS_AFTER, Breaker, PatientClient, Waiting
from tests.scripted import Line, ScriptedClient

GO = UserMessage(content="Go.", source="conductor")


class Clock:
    def __init__(self, *lines: Line, draw: float = 0.0) -> None:
        self.now, self.waits = 0.0, list[float]()
        self.breaker = Breaker(lambda: self.now)
        self.inner = ScriptedClient(lines)
        self.client = PatientClient(self.inner, "m", self.breaker, Waiting(self.sleep, lambda: self.now, lambda: draw))

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(("draw", "waits"), [(0.0, [0.25, 0.5, 1.0, 2.0]), (0.5, [0.375, 0.75, 1.5, 3.0]), (1.0, [0.5, 1.0, 2.0, 4.0])])
async def test_waits_double_and_are_drawn_between_half_and_all(draw: float, waits: list[float]) -> None:
    clock = Clock(*[ModelUnreachable("down")] * MOST_ATTEMPTS, draw=draw)
    with pytest.raises(ModelUnreachable, match="down"):
        await clock.client.create([GO])
    assert clock.waits == waits


async def test_who_asks_for_time_is_never_asked_sooner() -> None:
    clock = Clock(ModelOverloaded("busy", retry_after_s=8.0), "ok", draw=1.0)
    await clock.client.create([GO])
    assert clock.waits == [8.8]


async def test_a_call_has_an_end_whatever_each_wait_is() -> None:
    clock = Clock(*[ModelOverloaded("busy", retry_after_s=119.0)] * MOST_ATTEMPTS)
    clock.now = 7.0
    slow = Clock(ModelOverloaded("busy", retry_after_s=100.0), "late")
    with pytest.raises(ModelOverloaded):
        await clock.client.create([GO])
    assert sum(clock.waits) < CALL_S
    assert (await slow.client.create([GO])).content == "late"


async def test_an_answer_that_is_none_is_asked_for_twice_at_most() -> None:
    clock = Clock(*[UnusableReply("empty", transient=True)] * 2)
    with pytest.raises(UnusableReply):
        await clock.client.create([GO])
    clock.inner.assert_complete()


async def test_errors_that_are_not_ours_are_handed_on() -> None:
    with pytest.raises(KeyError):
        await Clock(KeyError("a bug")).client.create([GO])


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_through_when_time_has_passed() -> None:
    now = 0.0
    breaker = Breaker(lambda: now)
    for _ in range(TRIPS_AFTER - 1):
        breaker.failed()
    breaker.answered()
    breaker.failed()
    assert breaker.refuses_s() == 0, "they were not in a row"
    for _ in range(TRIPS_AFTER - 1):
        breaker.failed()
    assert breaker.refuses_s() == LEFT_ALONE_S
    now += LEFT_ALONE_S
    assert breaker.refuses_s() == 0, "one is let through"
    assert breaker.refuses_s() > 0, "the others wait for what comes of it"
    breaker.failed()
    assert breaker.refuses_s() == 2 * LEFT_ALONE_S
    for _ in range(20):
        breaker.failed()
    assert breaker.refuses_s() == LONGEST_LEFT_ALONE_S
    now += LONGEST_LEFT_ALONE_S
    assert breaker.refuses_s() == 0
    breaker.answered()
    assert breaker.refuses_s() == 0
    assert breaker.refuses_s() == 0
