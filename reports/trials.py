"""The trials of a run's searches, as the kernel told them while they went on, and what each call said of its parameters."""

from __future__ import annotations

from collections.abc import Sequence

from reports.findings import Fact
from team.events import Event, ProgressMade, ToolCalled, ToolReturned

PARAM = "param."
MOST_TRIALS = 2000
Setting = bool | int | float | str


class Trial(Fact):
    """A configuration that was tried on all folds it got."""

    family: str
    number: int
    """In the study of its family."""
    score: float
    params: dict[str, Setting]
    event: int


class Weights(Fact):
    """How much of the spread of a family's trials each parameter makes (fANOVA), after its last search."""

    family: str
    shares: dict[str, float]
    event: int


class Search(Fact):
    """All trials in the order they ended, and what is known of the parameters by family."""

    trials: tuple[Trial, ...] = ()
    weights: tuple[Weights, ...] = ()

    def of(self, family: str) -> tuple[Trial, ...]:
        return tuple(one for one in self.trials if one.family == family)


def read_search(events: Sequence[Event]) -> Search:
    """The search of a run; runs of before parameters were told have trials without them."""
    families: dict[str, str] = {}
    trials: list[Trial] = []
    weights: dict[str, Weights] = {}
    for event in events:
        if isinstance(event, ToolCalled) and event.tool == "tune":
            families[event.call] = str(event.arguments.get("family", ""))
        elif isinstance(event, ProgressMade) and event.call in families:
            facts = event.facts
            number, score = facts.get("trial"), facts.get("score")
            if isinstance(number, int) and isinstance(score, (int, float)) and len(trials) < MOST_TRIALS:
                params = {key.removeprefix(PARAM): value for key, value in facts.items() if key.startswith(PARAM)}
                trials.append(Trial(family=families[event.call], number=number, score=score, params=params, event=event.seq))
        elif isinstance(event, ToolReturned) and event.call in families and event.status == "ok" and event.result:
            shares = event.result.get("importance")
            if isinstance(shares, dict) and shares:
                family = families[event.call]
                weights[family] = Weights(family=family, shares=shares, event=event.seq)
    return Search(trials=tuple(trials), weights=tuple(weights.values()))
