"""What of a call's arguments the user has chosen, and what is left to a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.host import Wish

INTAKE = ("fetch_data", "seal_holdout")
"""Tools that read the user's own table: what fails there is the table's fault, whoever called."""


def settled(wish: Wish, tool: str) -> frozenset[str]:
    """Arguments of a tool that need not be shown in a run: the user fixed them, or gave nothing for them."""
    if tool == "seal_holdout":
        may_be_survival = wish.event is None and (wish.named_task == "survival" or (wish.named_task is None and wish.goal is not None))
        given = {"target": wish.target, "metric": wish.metric, "task": wish.named_task, "event": not may_be_survival}
        return frozenset(name for name, value in given.items() if value)
    if tool == "prepare":
        return frozenset() if wish.preparers else frozenset({"preparers"})
    return frozenset(fixed(wish, tool))


def kept_steps(wish: Wish, results: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Steps of a preparation that may be used: those that proved to gain, and those that the user asked for."""
    return frozenset({*results.get("try_steps", {}).get("steps", []), *wish.preparers})


def unproven(wish: Wish, results: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> list[str]:
    """Of the steps that a call of `prepare` names, those that nobody showed to gain."""
    return [step for step in values.get("steps") or [] if step not in kept_steps(wish, results)]


def fixed(wish: Wish, tool: str) -> dict[str, Any]:
    """Arguments that the user fixed, which no role chooses."""
    if tool != "tune":
        return {}
    weighed = list(wish.objectives) if len(wish.objectives) > 1 else None
    values = {"sampler": wish.sampler, "pruner": wish.pruner, "objectives": weighed}
    return {name: value for name, value in values.items() if value}


def own_choices(wish: Wish, tool: str, arguments: Mapping[str, Any]) -> list[str]:
    """Of a call that takes the user's data in, what the role chose where it might have left it out.

    Such a call is refused like any other: the user's input is at fault only where nothing else can be. Somebody has to name a
    target, so the one that a role names counts as the user's.
    """
    if tool not in INTAKE:
        return []
    given = {"source": wish.source, "task": wish.named_task, "event": wish.event, "metric": wish.metric}
    columns = (wish.group, wish.time_column)
    own = {key: value for key, value in arguments.items() if key != "target" and value is not None and value != given.get(key)}
    return [key for key, value in own.items() if not (key == "column" and value in columns)]
