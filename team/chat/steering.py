"""Commands that change something: how the run goes on, what it is held to, what waits for a word. Each says in one line why not where it
cannot be done."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable

import yaml

from team.chat.command import STAGES, Talk, command, going_of, run_of
from team.errors import UsageError
from team.roles import NAMES
from team.setting_values import parse_seconds


@command("/budget +5m")
def budget(talk: Talk, text: str) -> None:
    """Give the search more time; without an argument, say what is left."""
    now = talk.board.glance()
    if not text:
        run_of(talk)
        talk.tell(f"{now.left_s:.0f} of {now.budget_s:g} s of search are left")
        return
    steering = going_of(talk)
    try:
        seconds = parse_seconds(text.lstrip("+ "))
    except ValueError as error:
        raise UsageError(f"/budget {text}: {error}, as in /budget +5m.") from None
    if not 0 < seconds <= 86_400 - now.budget_s:
        raise UsageError(f"/budget {text}: expected more time, and a day in all at most.")
    if now.stage in ("select", "document", "release"):
        raise UsageError(f"the search is over in stage {now.stage}; /fork optimise time=10m goes back to it with more time.")
    steering.add_time(seconds)
    talk.tell(f"{seconds:g} s more, from the next turn on")


@command("/pause")
def pause(talk: Talk, _: str) -> None:
    """Wait at the next safe point: before the next tool call or turn. Ctrl-C does the same."""
    going_of(talk).pause()
    talk.tell("pausing at the next safe point; /resume takes it back")


@command("/resume")
def resume(talk: Talk, _: str) -> Awaitable[None] | None:
    """Go on after a pause, or with a run that was stopped."""
    if talk.steering is not None:
        if not talk.steering.pausing:
            raise UsageError("the run is going on; /pause would hold it.")
        talk.steering.go_on()
        talk.tell("going on")
        return None
    run_of(talk)
    if talk.board.glance().status == "done":
        raise UsageError("the run has ended, there is nothing to go on with. /fork STAGE begins a new one from a stage of it.")
    return talk.take_up()


@command("/undo [TURN|STAGE]", STAGES)
async def undo(talk: Talk, to: str) -> None:
    """Go back: to the end of turn TURN, to where STAGE was entered, or by one turn. The run stays as it is; a fork goes on from there."""
    run_of(talk)
    turns = talk.board.glance().turns
    at = to or str(turns - 2 if talk.steering else turns - 1)
    if at.startswith("-") or at == "0":
        raise UsageError("there is no turn to go back to yet.")
    await talk.branch(at, {})


@command("/fork STAGE [NAME=VALUE ...]", STAGES)
async def fork(talk: Talk, text: str) -> None:
    """Go on with a new run from where STAGE was entered (or from a number of turns), with other settings, such as time=10m."""
    run_of(talk)
    try:
        at, *changes = shlex.split(text)
    except ValueError:
        raise UsageError("/fork: expected a stage, as in /fork optimise time=10m.") from None
    given = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"/fork: {change!r} is no setting; expected NAME=VALUE, such as time=10m.")
        try:
            given[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"/fork: the value of {change!r} cannot be read; expected NAME=VALUE, such as time=10m.") from None
    await talk.branch(at, given)


@command("/constraint TEXT")
async def constraint(talk: Talk, text: str) -> None:
    """Something that must be kept, such as: never use column X; linear models only. It is enforced, not asked for."""
    if not text:
        raise UsageError("/constraint: say what must be kept, as in /constraint never use column X.")
    await talk.constrain(text)


@command("/ask ROLE QUESTION", NAMES)
async def ask(talk: Talk, text: str) -> None:
    """Ask one role something beside its turns; the answer changes nothing."""
    role, _, question = text.partition(" ")
    if role not in NAMES or not question.strip():
        raise UsageError(f"/ask: expected a role and a question; roles: {', '.join(NAMES)}.")
    run_of(talk)
    await talk.question(role, question.strip())


@command("/approve")
def approve(talk: Talk, text: str) -> None:
    """Allow what the team asks for."""
    if not talk.decide(True, text):
        raise UsageError("nothing waits for approval.")


@command("/reject [WHY]")
def reject(talk: Talk, text: str) -> None:
    """Refuse what the team asks for."""
    if not talk.decide(False, text):
        raise UsageError("nothing waits for approval.")
