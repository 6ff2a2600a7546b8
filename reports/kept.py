"""What a run was held to, by whom and how, what that excluded, and what a person was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from reports.findings import Fact
from team.constraint import Constraint, distinct
from team.errors import UsageError
from team.events import ApprovalDecided, ConstraintAdded, Event, FellBack, RunStarted, ToolReturned
from team.settings import settled


class Held(Fact):
    """One constraint."""

    kind: str
    told: str
    said: str
    """The words that asked for it; empty where an option did."""
    enforced_by: str
    excluded: tuple[str, ...]
    """What it kept out, in words."""
    refused: str = ""
    """Why it came too late to be kept."""
    event: int


class Asked(Fact):
    """A word on a call that acts outside the run directory, or that the policy asks about."""

    tool: str
    allowed: bool
    by: str
    reason: str
    waited_s: float
    event: int


def held(events: Sequence[Event]) -> tuple[Held, ...]:
    """Everything that the run was held to, from its settings and from words on the way, in this order."""
    started = next((e for e in events if isinstance(e, RunStarted)), None)
    found = [_held(one, events, started.seq) for one in _of_settings(started.settings)] if started else []
    for event in events:
        if isinstance(event, ConstraintAdded):
            out = [*(f"column {name}" for name in event.gone), *(f"candidate {name}" for name in event.excluded)]
            found += [_held(one, events, event.seq, out).model_copy(update={"refused": event.refused}) for one in _typed(event.constraints)]
    return tuple(found)


def asked(events: Sequence[Event]) -> tuple[Asked, ...]:
    """Every word on a call, in order."""
    return tuple(
        Asked(tool=e.tool, allowed=e.allowed, by=e.by, reason=e.reason, waited_s=e.waited_s, event=e.seq)
        for e in events
        if isinstance(e, ApprovalDecided)
    )


def _of_settings(settings: dict[str, Any]) -> list[Constraint]:
    """Constraints as the settings of a run have them; none where those are of a version that has other ones."""
    try:
        return distinct(settled(settings).limits)
    except (ValidationError, UsageError, ValueError):
        return []


def _typed(documents: Sequence[dict[str, Any]]) -> list[Constraint]:
    from team.constraint import CONSTRAINT

    return [CONSTRAINT.validate_python(one) for one in documents]


def _held(one: Constraint, events: Sequence[Event], event: int, out: Sequence[str] = ()) -> Held:
    return Held(
        kind=one.kind,
        told=one.told,
        said=one.said,
        enforced_by=one.enforced_by,
        excluded=tuple(dict.fromkeys([*out, *_kept_out(one, events)])),
        event=event,
    )


def _kept_out(one: Constraint, events: Sequence[Event]) -> list[str]:
    """What the log tells of a constraint that was there from the beginning: calls that were refused, models that were too much."""
    if one.kind in ("families", "no_families", "interpretable", "monotone"):
        refused = [
            f"a call of {e.tool}"
            for e in events
            if isinstance(e, ToolReturned) and e.status == "refused" and "the contract" in e.text and e.tool != "evaluate"
        ]
        return refused + [f"candidate {e.what}" for e in events if isinstance(e, FellBack) and "does not count: code wrote it" in e.reason]
    if one.kind in ("max_latency", "max_size"):
        unit = " ms for a row" if one.kind == "max_latency" else " MB on file"
        return [
            f"candidate {e.what}" for e in events if isinstance(e, FellBack) and "as the host measured" in e.reason and unit in e.reason
        ]
    if one.kind == "forbid_column":
        return [f"column {one.column}"]
    return []
