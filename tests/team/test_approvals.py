"""A person's word before a call: asked when the policy says so, once, on record, and on nobody's time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from team.approval import Approval, ApprovalDecision, ApprovalRequest, Approve
from team.approvals import Approvals
from team.events import ApprovalAsked, ApprovalDecided, Event, ToolReturned
from team.roles import roles
from team.stages import Stage
from tests.rooming import rooming
from tools.planning import record_plan
from tools.spec import describe, registry

PLAN = {"approach": "Fit.", "steps": ["one"], "families": ["linear"], "risks": ["none"]}


class Person:
    """Answers what it is asked, in turn, and remembers it."""

    def __init__(self, *answers: bool) -> None:
        self.answers, self.asked = list(answers), []

    async def __call__(self, request: ApprovalRequest) -> ApprovalDecision:
        self.asked.append(request)
        return ApprovalDecision(allowed=self.answers.pop(0), by="test")


def _request(outside: bool = True, **arguments: Any) -> ApprovalRequest:
    return ApprovalRequest(call="c", tool="publish", role="r", stage="release", arguments=arguments, outside=outside, what="publish it")


def _approvals(policy: Approval, ask: Approve | None, before: list[Event] | None = None) -> tuple[Approvals, list[Event]]:
    events: list[Event] = []

    def emit(event: Event) -> Event:
        events.append(event)
        return event

    return Approvals(policy, ask, emit, before or []), events


@pytest.mark.parametrize(
    ("policy", "outside", "named", "asked"),
    [
        (Approval(), True, "", True),
        (Approval(), False, "", False),
        (Approval(), True, "--tracker", False),
        (Approval(default="always"), False, "", True),
        (Approval(default="always"), True, "--tracker", True),
        (Approval(default="never"), True, "", False),
        (Approval(tools={"publish": "never"}), True, "", False),
        (Approval(default="never", tools={"publish": "always"}), False, "", True),
    ],
)
def test_when_a_person_is_asked(policy: Approval, outside: bool, named: str, asked: bool) -> None:
    person = Person(True)
    approvals, _ = _approvals(policy, person)
    assert asyncio.run(approvals.word(_request(outside), named)).allowed
    assert bool(person.asked) is asked


def test_the_same_call_is_asked_about_once_also_after_a_resume() -> None:
    person = Person(False, True)
    approvals, events = _approvals(Approval(), person)
    assert not asyncio.run(approvals.word(_request(to="a"))).allowed
    assert not asyncio.run(approvals.word(_request(to="a"))).allowed
    assert asyncio.run(approvals.word(_request(to="b"))).allowed
    assert len(person.asked) == 2
    resumed, _ = _approvals(Approval(), Person(), events)
    assert not asyncio.run(resumed.word(_request(to="a"))).allowed
    assert "publish" in resumed.refused


def test_where_nobody_can_be_asked_the_way_is_told_and_a_resumed_run_asks() -> None:
    approvals, events = _approvals(Approval(), None)
    decision = asyncio.run(approvals.word(_request()))
    assert not decision.allowed
    assert "--approve publish" in decision.reason
    assert "--approval never" in decision.reason
    assert [event.kind for event in events] == ["approval_asked", "approval_decided"]
    person = Person(True)
    resumed, _ = _approvals(Approval(), person, events)
    assert asyncio.run(resumed.word(_request())).allowed
    assert len(person.asked) == 1


def test_tools_that_act_outside_say_so() -> None:
    outside = {name for name, spec in registry().items() if spec.outside}
    assert outside == {"track_run", "register_model", "publish_run"}
    assert describe(record_plan, "host", 1, outside=True).acts_outside(None).what.startswith("Record the plan")


def test_a_wait_for_a_person_is_no_time_of_the_tool(tmp_path: Path) -> None:
    answered = asyncio.Event()

    async def slow(request: ApprovalRequest) -> ApprovalDecision:
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, answered.set)
        await answered.wait()
        return ApprovalDecision(allowed=True, by="test")

    async def scene() -> list[Event]:
        async with rooming(tmp_path, "sklearn:wine", approval="always", approve=slow) as r:
            r.enter(Stage.PLAN)
            outcome = await r.room.call(roles()["planner"], "record_plan", PLAN)
            assert outcome.status == "ok", outcome.text
            return r.events

    events = asyncio.run(scene())
    assert [e.kind for e in events] == ["tool_called", "approval_asked", "approval_decided", "tool_returned"]
    decided = next(e for e in events if isinstance(e, ApprovalDecided))
    returned = next(e for e in events if isinstance(e, ToolReturned))
    assert decided.waited_s >= 0.3 - 0.05
    assert returned.seconds < decided.waited_s


def test_what_is_refused_is_told_to_the_role_and_not_run(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rooming(tmp_path, "sklearn:wine", approval={"tools": {"record_plan": "always"}}) as r:
            r.enter(Stage.PLAN)
            outcome = await r.room.call(roles()["planner"], "record_plan", PLAN)
            assert outcome.status == "refused"
            assert "nobody could be asked" in outcome.text
            assert "--approve record_plan" in outcome.text
            assert not r.run.plan.exists()
            assert any(isinstance(e, ApprovalAsked) for e in r.events)

    asyncio.run(scene())
