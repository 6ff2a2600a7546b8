"""What tools found out, read back from their results in the event log; see also `table_findings` and `candidate_findings`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from team.events import Event, ToolReturned


class Fact(BaseModel):
    """Base of all facts. What a newer tool adds to its result is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Plan(Fact):
    approach: str
    steps: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()


class Skipped(Fact):
    """A candidate that was not trained, and why."""

    name: str
    reason: str


def last_result(events: Sequence[Event], tool: str, **having: Any) -> tuple[int, dict[str, Any]] | None:
    """The last good result of `tool` whose fields equal `having`, after the number of its event."""
    for event in reversed(events):
        if isinstance(event, ToolReturned) and event.tool == tool and event.status == "ok" and event.result is not None:
            result = event.result
            if all(result.get(key) == value for key, value in having.items()):
                return event.seq, result
    return None


def read_skipped(events: Sequence[Event]) -> tuple[Skipped, ...]:
    """Candidates that searches left out, each once, with the last reason."""
    found: dict[str, Skipped] = {}
    for event in events:
        if isinstance(event, ToolReturned) and event.result is not None and isinstance(event.result.get("skipped"), list):
            for entry in event.result["skipped"]:
                skipped = Skipped.model_validate(entry)
                found[skipped.name] = skipped
    return tuple(found.values())
