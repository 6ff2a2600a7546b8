"""What a run was said to take, and what it takes of models and machine."""

from __future__ import annotations

from typing import Any, Literal

from team.events.event import BaseEvent


class CostForecast(BaseEvent):
    """What the run was said to take before it began."""

    kind: Literal["cost_forecast"] = "cost_forecast"
    seconds: list[float]
    """Least and most, in all."""
    tokens: int | None
    usd: float | None
    """None where a price is not known."""
    runs: int
    """Earlier runs that it rests on."""
    probes: list[dict[str, Any]] = []
    """What a small question to each model measured, as `team.models.probing.Probe` has it."""


class BudgetWarned(BaseEvent):
    """What models took has reached a share of a cap; told once for each share of each cap."""

    kind: Literal["budget_warned"] = "budget_warned"
    cap: Literal["max_cost", "max_tokens", "warn_cost", "warn_tokens"]
    """The setting; the first two are hard, the others only tell."""
    share: float
    """Of the cap, that was reached: 0.5, 0.75, 0.9, and 1 of a soft one."""
    spent: float
    """Dollars or tokens by then."""
    limit: float


class ResourcesUsed(BaseEvent):
    """What the machine gave since the last event of this kind: this process and everything in the run's sandboxes."""

    kind: Literal["resources_used"] = "resources_used"
    turn: int
    role: str
    """Whose turn it was; empty outside of turns."""
    stage: str
    seconds: float
    """Of wall-clock time."""
    cpu_seconds: float
    """Of processor time, all cores added up."""
    gpu_seconds: float | None
    """Of busy graphics processors; None where that cannot be known."""
    memory_gb_seconds: float
    """Memory held, in GB of 2**30 bytes, times the seconds it was held for."""
