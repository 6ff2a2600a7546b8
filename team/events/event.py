"""What every event has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 6
"""2 added `run_resumed` and `run_forked`, 3 `optimism_estimated`, 4 `calls_recovered` and `repair_asked`, 5 `user_spoken`, `role_asked`,
`run_paused`, `run_continued`, `time_added`, `approval_asked`, `approval_decided`, `constraint_added`, `objection_raised` and
`objection_answered`, 6 `work_timed`, `cost_forecast`, `budget_warned` and `resources_used`; logs of earlier versions are read as they
are."""


class BaseEvent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seq: int = -1
    """Position in the log, from 0; set when the event is appended."""
    at: float = 0.0
    """Wall-clock time of the append, seconds since the epoch."""
    kind: str
    """Which event it is. Every class has one of its own."""
