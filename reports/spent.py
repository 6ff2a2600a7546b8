"""What a run took beside the calls of its models, and what it was counted by: the machine, the forecast, the prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.record import Foreseen, ListPrice, MachineUse
from team.events import CostForecast, Event
from team.resources import hours_of

HOUR_S = 3600.0


def machine_use(events: Sequence[Event]) -> MachineUse | None:
    """What the machine gave; None where it was not counted."""
    took = hours_of(events)
    if not took.measured:
        return None
    return MachineUse(
        wall_seconds=took.wall * HOUR_S,
        cpu_seconds=took.cpu * HOUR_S,
        gpu_seconds=None if took.gpu is None else took.gpu * HOUR_S,
        memory_gb_hours=took.memory_gb,
    )


def foreseen(event: CostForecast | None) -> Foreseen | None:
    """What the run was said to take."""
    if event is None:
        return None
    return Foreseen(low=event.seconds[0], high=event.seconds[-1], tokens=event.tokens, usd=event.usd, event=event.seq)


def prices_of(settings: Mapping[str, Any]) -> tuple[ListPrice, ...]:
    """The prices that the settings of a run hold."""
    return tuple(
        ListPrice(model=model, input=str(price["input"]), output=str(price["output"]), by=str(price.get("by", "")))
        for model, price in (settings.get("prices") or {}).items()
    )


def on_record(events: Sequence[Event]) -> Iterator[tuple[float, str, str]]:
    """Numbers that a document may state of these: value, place, and the word that a sentence must have to state it."""
    if (machine := machine_use(events)) is not None:
        for name, value in machine.model_dump().items():
            if value is not None:
                yield value, f"resources_used: sum of {name}", "machine"
    for event in events:
        if isinstance(event, CostForecast):
            for value in (*event.seconds, event.tokens, event.usd):
                if value is not None:
                    yield float(value), f"event {event.seq}: forecast", "foreseen"
