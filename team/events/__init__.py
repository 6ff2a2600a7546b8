"""Everything that is said and done in a run, as one union of event types told apart by `kind`.

Console, reports, tracker and traces are views of these. Times are seconds since the epoch, durations seconds.
Changing the meaning or the order of fields means raising `SCHEMA_VERSION`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter

from team.events.calls import CellExecuted, KernelChanged, ProgressMade, ToolCalled, ToolReturned, WorkTimed
from team.events.event import SCHEMA_VERSION
from team.events.findings import (
    AttemptMade,
    CandidateScored,
    HoldoutScored,
    ObjectionAnswered,
    ObjectionRaised,
    OptimismEstimated,
    Reviewed,
    RoundEnded,
)
from team.events.lifecycle import FellBack, RunEnded, RunForked, RunResumed, RunStarted, SandboxChosen, StageEnded, StageEntered
from team.events.people import ApprovalAsked, ApprovalDecided, ConstraintAdded, RoleAsked, RunContinued, RunPaused, TimeAdded, UserSpoken
from team.events.spending import BudgetWarned, CostForecast, ResourcesUsed
from team.events.turns import CallsRecovered, MessageSpoken, ModelCalled, RepairAsked, TurnEnded, TurnStarted

Event = Annotated[
    RunStarted
    | RunResumed
    | RunForked
    | SandboxChosen
    | StageEntered
    | StageEnded
    | TurnStarted
    | MessageSpoken
    | TurnEnded
    | ModelCalled
    | CallsRecovered
    | RepairAsked
    | ToolCalled
    | ToolReturned
    | ApprovalAsked
    | ApprovalDecided
    | ConstraintAdded
    | CellExecuted
    | WorkTimed
    | KernelChanged
    | ProgressMade
    | AttemptMade
    | CandidateScored
    | RoundEnded
    | Reviewed
    | ObjectionRaised
    | ObjectionAnswered
    | OptimismEstimated
    | HoldoutScored
    | FellBack
    | UserSpoken
    | RoleAsked
    | RunPaused
    | RunContinued
    | TimeAdded
    | CostForecast
    | BudgetWarned
    | ResourcesUsed
    | RunEnded,
    Field(discriminator="kind"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)

__all__ = [
    "EVENT",
    "SCHEMA_VERSION",
    "ApprovalAsked",
    "ApprovalDecided",
    "AttemptMade",
    "BudgetWarned",
    "CallsRecovered",
    "CandidateScored",
    "CellExecuted",
    "ConstraintAdded",
    "CostForecast",
    "Event",
    "FellBack",
    "HoldoutScored",
    "KernelChanged",
    "MessageSpoken",
    "ModelCalled",
    "ObjectionAnswered",
    "ObjectionRaised",
    "OptimismEstimated",
    "ProgressMade",
    "RepairAsked",
    "ResourcesUsed",
    "Reviewed",
    "RoleAsked",
    "RoundEnded",
    "RunContinued",
    "RunEnded",
    "RunForked",
    "RunPaused",
    "RunResumed",
    "RunStarted",
    "SandboxChosen",
    "StageEnded",
    "StageEntered",
    "TimeAdded",
    "ToolCalled",
    "ToolReturned",
    "TurnEnded",
    "TurnStarted",
    "UserSpoken",
    "WorkTimed",
]
