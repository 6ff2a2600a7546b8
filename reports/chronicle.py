"""What the events of a run say when they are read from the first to the last: its end, its stages, candidates, rounds and models."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, TypeVar

from pydantic import BaseModel

from reports.conversation import Turn
from reports.record import CandidateRow, ModelUse, RoleTime, Round, StageFact, StageUse
from team.events import (
    CandidateScored,
    ConstraintAdded,
    Event,
    ModelCalled,
    RoundEnded,
    RunEnded,
    RunResumed,
    RunStarted,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnStarted,
)
from team.rundir import RunDir
from tools.candidates import CODE
from tools.contract import Contract

Status = Literal["done", "failed", "stopped_by_budget", "interrupted", "unfinished"]
E = TypeVar("E", bound=BaseModel)


def run_status(events: Sequence[Event]) -> tuple[Status, str]:
    """How the run ended. An end that turns follow, as after `mlteam resume`, is none."""
    for event in reversed(events):
        if isinstance(event, RunEnded):
            return event.status, event.reason
        if isinstance(event, (TurnStarted, RunResumed)):
            break
    return "unfinished", ""


def folder_of(place: RunDir, events: Sequence[Event]) -> str:
    """The run directory as the log names it, so that documents are the same wherever a run lies when they are written."""
    for event in reversed(events):
        if isinstance(event, RunResumed) and event.folder:
            return event.folder
        if isinstance(event, RunStarted):
            return f"{str(event.settings.get('out', 'runs')).rstrip('/')}/{event.run}"
    return place.name


def seconds_at_work(events: Sequence[Event]) -> float:
    """Wall-clock time at work. A clock that was set back while the run went on, or stood still, takes nothing away."""
    end = events[-1] if events else None
    if isinstance(end, RunEnded) and not any(isinstance(event, RunResumed) for event in events):
        return end.seconds
    pairs = itertools.pairwise(events)
    return sum(max(0.0, after.at - before.at) for before, after in pairs if not isinstance(after, RunResumed))


def stage_facts(events: Sequence[Event]) -> tuple[StageFact, ...]:
    """Every visit of a stage in the order in which they were entered; the last one may not have ended."""
    found: dict[tuple[str, int], StageFact] = {}
    for event in events:
        if isinstance(event, StageEntered):
            found[event.stage, event.visit] = StageFact(
                stage=event.stage, visit=event.visit, outcome=None, seconds=0.0, search_seconds=0.0, event=event.seq
            )
        elif isinstance(event, StageEnded):
            found[event.stage, event.visit] = StageFact(
                stage=event.stage,
                visit=event.visit,
                outcome=event.outcome,
                seconds=event.seconds,
                search_seconds=event.search_seconds,
                event=event.seq,
            )
    return tuple(found.values())


def leaderboard(events: Sequence[Event], contract: Contract | None) -> tuple[CandidateRow, ...]:
    """Candidates best first; one that a resumed run scored again counts once, and one that a constraint took out not at all."""
    rows: dict[str, CandidateRow] = {}
    for event in events:
        if isinstance(event, CandidateScored):
            facts = event.model_dump(exclude={"kind", "seq", "at"})
            rows[event.name] = CandidateRow.model_validate({**facts, "event": event.seq})
        elif isinstance(event, ConstraintAdded):
            rows = {name: row for name, row in rows.items() if name not in event.excluded}
    maximize = contract is None or contract.direction == "maximize"
    return tuple(sorted(rows.values(), key=lambda c: (-c.score if maximize else c.score, c.name)))


def round_facts(events: Sequence[Event]) -> tuple[Round, ...]:
    """Rounds of the optimise loop, each with the families that were tuned in it."""
    tuned: list[str] = []
    asked: dict[str, str] = {}
    rounds: dict[int, Round] = {}
    for event in events:
        if isinstance(event, ToolCalled) and event.tool in ("tune", "submit_candidate"):
            asked[event.call] = str(event.arguments.get("family", CODE))
        elif isinstance(event, ToolReturned) and event.call in asked and event.status == "ok":
            tuned.append(asked[event.call])
        elif isinstance(event, RoundEnded):
            families = tuple(dict.fromkeys(tuned))
            facts = event.model_dump(include={"round", "gain", "noise", "margin", "candidates"})
            rounds[event.round] = Round(**facts, families=families, event=event.seq)
            tuned = []
    return tuple(rounds.values())


def model_uses(events: Sequence[Event]) -> tuple[ModelUse, ...]:
    """Calls and cost by role and model."""
    grouped: dict[tuple[str, str], list[ModelCalled]] = {}
    for event in events:
        if isinstance(event, ModelCalled):
            grouped.setdefault((event.role, event.model), []).append(event)
    return tuple(
        ModelUse(
            role=role,
            model=model,
            calls=len(calls),
            failed=sum(call.error is not None for call in calls),
            estimated=sum(call.estimated for call in calls),
            input_tokens=sum(call.input_tokens for call in calls),
            output_tokens=sum(call.output_tokens for call in calls),
            usd=total([call.usd for call in calls]),
            seconds=sum(call.seconds for call in calls),
        )
        for (role, model), calls in grouped.items()
    )


def stage_uses(events: Sequence[Event]) -> tuple[StageUse, ...]:
    """Calls and cost by the stage of the turn that they were made in, in the order of the stages; calls outside of turns are of none."""
    stages: dict[int, str] = {}
    grouped: dict[str, list[ModelCalled]] = {}
    for event in events:
        if isinstance(event, TurnStarted):
            stages[event.turn] = event.stage
        elif isinstance(event, ModelCalled):
            grouped.setdefault(stages.get(event.turn, ""), []).append(event)
    return tuple(
        StageUse(
            stage=stage,
            calls=len(calls),
            input_tokens=sum(call.input_tokens for call in calls),
            output_tokens=sum(call.output_tokens for call in calls),
            usd=total([call.usd for call in calls]),
            seconds=sum(call.seconds for call in calls),
        )
        for stage, calls in grouped.items()
    )


def role_times(turns: Sequence[Turn]) -> tuple[RoleTime, ...]:
    """Turns by role, in the order in which the roles came to speak."""
    grouped: dict[str, list[Turn]] = {}
    for turn in turns:
        grouped.setdefault(turn.role, []).append(turn)
    return tuple(
        RoleTime(role=role, turns=len(own), calls=sum(len(turn.calls) for turn in own), seconds=sum(turn.seconds for turn in own))
        for role, own in grouped.items()
    )


def total(parts: Sequence[float | None]) -> float | None:
    """The sum; None when any part is not known."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def last(events: Sequence[Event], kind: type[E]) -> E | None:
    """The last event of a kind."""
    return next((event for event in reversed(events) if isinstance(event, kind)), None)
