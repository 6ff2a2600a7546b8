"""What runs took, by role, stage, run, day or model: calls and tokens of models, dollars, and hours of the machine.

What is not known is never counted as nothing: dollars of calls without a price are told as unknown, a sum that has such calls in it as a
least one, and so are hours of runs whose machine was not measured. Dollars are added as decimal numbers, so that every way of grouping
comes to the same sum to the last digit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, computed_field

from team.events import Event, ModelCalled, ResourcesUsed, RunForked, TurnStarted
from team.resources import hours_of

By = Literal["role", "stage", "run", "day", "model"]
WAYS: tuple[By, ...] = get_args(By)
NOBODY = "outside of turns"


class Cost(BaseModel):
    """What one group took."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    calls: int = 0
    """Of models, the playbook's among them."""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    """Of the input, what came from a prompt cache."""
    cache_write_tokens: int = 0
    usd_at_least: Decimal = Decimal(0)
    """Of the calls with a known price."""
    unpriced_calls: int = 0
    model_seconds: float = 0.0
    """That models took to answer."""
    cpu_hours: float | None = None
    """None where nothing was measured, and by model, since hours of the machine are no model's; so for memory and wall-clock time."""
    gpu_hours: float | None = None
    """None also where nobody could tell how busy they were."""
    memory_gb_hours: float | None = None
    wall_hours: float | None = None
    unmeasured_runs: int = 0
    """Runs in it whose machine was not measured; hours are those of the others."""

    @computed_field  # type: ignore[prop-decorator]  # as pydantic has it
    @property
    def usd(self) -> Decimal | None:
        """Dollars; None when the price of any call is not known."""
        return None if self.unpriced_calls else self.usd_at_least


class Costs(BaseModel):
    """A table over runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: By
    runs: int
    rows: tuple[Cost, ...]
    total: Cost


def costs(runs: Sequence[tuple[str, Sequence[Event]]], by: By) -> Costs:
    """The table over these runs, in the order in which groups come up; days in theirs, by this machine's clock.

    Args:
        runs: name and events of each. Of a fork only what it took itself counts: what came before belongs to its parent.
    """
    groups: dict[str, _Group] = {}
    whole = _Group()
    for run, events in runs:
        stages = {event.turn: event.stage for event in events if isinstance(event, TurnStarted)}
        mine = own(events)
        measured = any(isinstance(event, ResourcesUsed) for event in mine)
        if by == "run":
            groups.setdefault(run, _Group())
        for event in mine:
            if not isinstance(event, (ModelCalled, ResourcesUsed)):
                continue
            whole.add(event, run, measured, machine=True)
            if by == "model" and isinstance(event, ResourcesUsed):
                continue
            groups.setdefault(_name(event, run, by, stages), _Group()).add(event, run, measured, machine=by != "model")
    names = sorted(groups) if by == "day" else list(groups)
    rows = tuple(groups[name].cost(name) for name in names)
    return Costs(by=by, runs=len(runs), rows=rows, total=whole.cost("all"))


def own(events: Sequence[Event]) -> Sequence[Event]:
    """Events of a run that are its own: those of a fork's parent come before."""
    forked = [place for place, event in enumerate(events) if isinstance(event, RunForked)]
    return events[forked[-1] :] if forked else events


def _name(event: ModelCalled | ResourcesUsed, run: str, by: By, stages: dict[int, str]) -> str:
    if by == "run":
        return run
    if by == "day":
        return time.strftime("%Y-%m-%d", time.localtime(event.at))
    if by == "model":
        assert isinstance(event, ModelCalled)
        return f"{event.provider}:{event.model}" if event.model not in ("", event.provider) else event.provider
    if by == "role":
        return event.role or NOBODY
    stage = event.stage if isinstance(event, ResourcesUsed) else stages.get(event.turn, "")
    return stage or NOBODY


class _Group:
    """Adds up the events of a group."""

    def __init__(self) -> None:
        self._calls: list[ModelCalled] = []
        self._used: list[ResourcesUsed] = []
        self._unmeasured: set[str] = set()

    def add(self, event: ModelCalled | ResourcesUsed, run: str, measured: bool, *, machine: bool) -> None:
        if isinstance(event, ModelCalled):
            self._calls.append(event)
        else:
            self._used.append(event)
        if machine and not measured:
            self._unmeasured.add(run)

    def cost(self, name: str) -> Cost:
        calls, took = self._calls, hours_of(self._used)
        found = took if took.measured else None
        return Cost(
            name=name,
            calls=len(calls),
            input_tokens=sum(call.input_tokens for call in calls),
            output_tokens=sum(call.output_tokens for call in calls),
            cache_read_tokens=sum(call.cache_read_tokens for call in calls),
            cache_write_tokens=sum(call.cache_write_tokens for call in calls),
            usd_at_least=sum((Decimal(str(call.usd)) for call in calls if call.usd is not None), Decimal(0)),
            unpriced_calls=sum(call.usd is None for call in calls),
            model_seconds=sum(call.seconds for call in calls),
            cpu_hours=found.cpu if found else None,
            gpu_hours=found.gpu if found else None,
            memory_gb_hours=found.memory_gb if found else None,
            wall_hours=found.wall if found else None,
            unmeasured_runs=len(self._unmeasured),
        )
