"""What a run is going to take, before it begins: tokens, dollars and minutes.

What earlier runs of the folder took counts before all: tokens by role, of runs in which a language model had that role, and where it was
the same one its seconds too. What they do not tell comes from a small question to the model (`team.models.probing`), and from a run of
the playbook whose requests were measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from team.casting import PLAYBOOK, is_free, members_of, provider_of
from team.errors import MlteamError
from team.events import CostForecast, Event, ModelCalled
from team.log import read_events
from team.models.probing import Probe
from team.roles import NAMES
from team.rundir import list_runs
from team.settings import Settings
from team.summary import read_summary

RUNS_ASKED = 10
"""Newest runs of the folder that are asked what they took."""
REST_S = (13.0, 25.0)
"""Seconds beside the search where no run tells: the span of the ten tables in the README."""
REQUESTS, INPUT_TOKENS, OUTPUT_TOKENS = 36, 1_910, 60
"""Requests of a run and their mean length in characters by four, as the playbook made them on `evals/data/penguins.csv`: briefing and
results by `python -m evals.briefing_size`, system message and tools added. A model that thinks, or must be asked again, takes more."""


@dataclass(frozen=True)
class Share:
    """What the model of a role takes in a run."""

    calls: float
    input_tokens: float
    output_tokens: float
    cached_tokens: float = 0.0
    seconds: float | None = None
    """That it takes to answer; None where another model was measured."""


@dataclass(frozen=True)
class Forecast:
    """Seconds in all, least and most; dollars and tokens, None where nobody can tell."""

    seconds: tuple[float, float]
    tokens: int | None
    usd: Decimal | None
    measured: int
    """Earlier runs that the seconds rest on; 0 for the figures of the README."""
    least_usd: Decimal = Decimal(0)
    """Of the models with a known price."""
    unpriced: tuple[str, ...] = ()
    """Models whose price nobody knows."""
    untimed: tuple[str, ...] = ()
    """Models of which nobody knows how long they take: their answers are not in the seconds."""
    runs: int = 0
    """Earlier runs that the tokens of some role rest on."""
    probes: tuple[Probe, ...] = field(default=())

    @property
    def told(self) -> str:
        low, high = (minutes(s) for s in self.seconds)
        took = f"about {high}" if low == high else f"{low} to {high}"
        if self.tokens == 0:
            return f"{took}, $0.00 (the playbook costs nothing)"
        if self.untimed:
            took += f" and what {', '.join(self.untimed)} takes to answer"
        if self.usd is not None:
            return f"{took}, about ${_amount(self.usd)} ({self.tokens:,} tokens)"
        least = f"at least ${_amount(self.least_usd)}" if self.least_usd else "dollars unknown"
        return f"{took}, {least} (no price is known of {', '.join(self.unpriced)}: `prices` in --config), about {self.tokens:,} tokens"

    def grounds(self, out: Path) -> str:
        """What it rests on."""
        found = [f"by {self.measured} earlier run(s) in {out}" if self.measured else "by the tables measured in the README"]
        for one in self.probes:
            if one.error:
                found.append(f"{one.model} did not answer a small question ({one.error})")
            else:
                cost = "price unknown" if one.usd is None else f"${_amount(Decimal(str(one.usd)))}"
                speed = f"{one.output_tokens / one.seconds:.0f} tokens/s" if one.seconds else "at once"
                found.append(f"a small question to {one.model} ({one.output_tokens} tokens in {one.seconds:.1f} s, {speed}, {cost})")
        return "; ".join(found)

    def beyond(self, settings: Settings) -> list[str]:
        """Caps that it is above, and what follows."""
        dollars = f"about ${_amount(self.least_usd if self.usd is None else self.usd)}"
        tokens = f"about {self.tokens or 0:,} tokens"
        caps: list[tuple[str, Decimal | int | None, Decimal | int, str, bool]] = [
            ("--max-cost", settings.max_cost, self.least_usd, dollars, True),
            ("--max-tokens", settings.max_tokens, self.tokens or 0, tokens, True),
            ("--warn-cost", settings.warn_cost, self.least_usd, dollars, False),
            ("--warn-tokens", settings.warn_tokens, self.tokens or 0, tokens, False),
        ]
        return [
            f"{amount} are more than {option} {limit}: " + ("the playbook goes on when it is reached" if hard else "you will be told of it")
            for option, limit, foreseen, amount, hard in caps
            if limit is not None and foreseen > limit
        ]

    def lines(self, settings: Settings) -> list[str]:
        """All that a person is told before a run, one thing a line."""
        grounds = f"           {self.grounds(settings.out)}"
        return [f"forecast   {self.told}", grounds, *(f"beware     {told}" for told in self.beyond(settings))]

    def document(self, settings: Settings) -> dict[str, Any]:
        """The same for programs."""
        told = self.event.model_dump(mode="json", exclude={"kind", "seq", "at"})
        more = {"usd_at_least": float(self.least_usd), "unpriced": list(self.unpriced), "untimed": list(self.untimed)}
        return {**told, **more, "beyond": self.beyond(settings)}

    @property
    def event(self) -> CostForecast:
        """As the run's log has it."""
        return CostForecast(
            seconds=list(self.seconds),
            tokens=self.tokens,
            usd=None if self.usd is None else float(self.usd),
            runs=max(self.measured, self.runs),
            probes=[one.model_dump(mode="json") for one in self.probes],
        )


def minutes(seconds: float) -> str:
    """`40 s` or `2.5 min`."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.2g} min" if seconds < 5_940 else f"{seconds / 3600:.2g} h"


def forecast(settings: Settings, probes: Sequence[Probe] = ()) -> Forecast:
    """What a run of these settings is likely to take. The search never takes longer than its time; it may end earlier."""
    earlier = _earlier(settings.out)
    rests = [rest for summary, events in earlier if (rest := _rest(summary, events)) is not None]
    low, high = (statistics.median(rests), max(rests)) if rests else REST_S
    low, high = settings.time + low, settings.time + high
    measured = {one.model: one for one in probes}
    logs = [events for summary, events in earlier if summary["status"] == "done"]
    usd, tokens, told_by = Decimal(0), 0.0, 0
    unpriced: dict[str, None] = {}
    untimed: dict[str, None] = {}
    for role in NAMES:
        spec = members_of(settings.model_of(role))[0]
        if is_free(spec):
            continue
        probe = measured.get(spec)
        share, runs = _share(role, spec, logs, probe)
        told_by = max(told_by, runs)
        tokens += share.input_tokens + share.output_tokens
        if (price := settings.price_of(spec)) is None:
            unpriced[spec] = None
        elif share.calls:
            read, written, cached = (round(n / share.calls) for n in (share.input_tokens, share.output_tokens, share.cached_tokens))
            usd += price.of(read, written, cached) * Decimal(str(share.calls))
        if (span := _answering(share, probe)) is None:
            untimed[spec] = None
        else:
            low, high = low + span[0], high + span[1]
    known = None if unpriced else usd
    return Forecast((low, high), round(tokens), known, len(rests), usd, tuple(unpriced), tuple(untimed), told_by, tuple(probes))


def _earlier(out: Path) -> list[tuple[dict[str, Any], list[Event]]]:
    found = []
    for run in list_runs(out)[-RUNS_ASKED:]:
        try:
            found.append((read_summary(run), list(read_events(run.events))))
        except (MlteamError, OSError, ValueError):  # a damaged run tells nothing
            continue
    return found


def _rest(summary: dict[str, Any], events: Sequence[Event]) -> float | None:
    """Seconds that a run took beside its search and the answers of models; None where it did not go through in one."""
    seconds = summary["seconds"]
    answering = sum(event.seconds for event in events if isinstance(event, ModelCalled))
    whole = summary["status"] == "done" and not summary.get("resumed")
    return max(0.0, seconds["total"] - seconds["search"] - answering) if whole else None


def _share(role: str, spec: str, logs: Sequence[Sequence[Event]], probe: Probe | None) -> tuple[Share, int]:
    """What the model of a role takes, and how many earlier runs say so: those of the same model, else those of any."""
    mine = [
        [e for e in events if isinstance(e, ModelCalled) and e.role == role and e.provider not in (PLAYBOOK, "replay")] for events in logs
    ]
    spoken = [calls for calls in mine if calls]
    same = [calls for calls in spoken if all((e.provider, e.model) == provider_of(spec) for e in calls)]
    if not spoken:
        counting, calls = probe.counting if probe else 1.0, REQUESTS / len(NAMES)
        return Share(calls, calls * INPUT_TOKENS * counting, calls * OUTPUT_TOKENS * counting), 0
    used = same or spoken
    mean = {
        name: statistics.median(sum(getattr(e, name) for e in calls) for calls in used)
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "seconds")
    }
    seconds = mean["seconds"] if same else None
    many = statistics.median(len(calls) for calls in used)
    return Share(many, mean["input_tokens"], mean["output_tokens"], mean["cache_read_tokens"], seconds), len(used)


def _answering(share: Share, probe: Probe | None) -> tuple[float, float] | None:
    """Seconds that a model takes for its share, least and most; None where nobody knows."""
    if share.seconds is not None:
        return share.seconds, share.seconds
    if probe is None or not share.calls:
        return None
    span = probe.seconds_of(share.input_tokens / share.calls, share.output_tokens / share.calls)
    return None if span is None else (span[0] * share.calls, span[1] * share.calls)


def _amount(usd: Decimal) -> str:
    return f"{usd:.2f}" if usd >= Decimal("0.1") or usd == 0 else f"{usd:.2g}"
