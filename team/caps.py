"""Caps on what models take, and who is told when they come near: at half, three quarters and nine tenths of each, once in a run.

A hard cap (`max_cost`, `max_tokens`) is kept by `team.budget.Meter`, which refuses the call that would pass it. A soft one (`warn_cost`,
`warn_tokens`) refuses nothing, and is told of once more when it is reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from team.budget import Limits, Usage
from team.events import BudgetWarned, Event
from team.settings import Settings

SHARES = (0.5, 0.75, 0.9)
Cap = Literal["max_cost", "max_tokens", "warn_cost", "warn_tokens"]
SOFT: tuple[Cap, ...] = ("warn_cost", "warn_tokens")


def limits_of(settings: Settings) -> Limits:
    """What the settings allow, and want to be told of."""
    return Limits(settings.time, settings.trials, settings.max_cost, settings.max_tokens, settings.warn_cost, settings.warn_tokens)


class Caps:
    """Which shares of which caps were reached, and told.

    Args:
        told: events of the run so far, those behind its checkpoint too: what was told once is not told again after a resume.
    """

    def __init__(self, told: Iterable[Event] = ()) -> None:
        self._told = {(e.cap, e.share, e.limit) for e in told if isinstance(e, BudgetWarned)}

    def crossed(self, usage: Usage, limits: Limits) -> list[BudgetWarned]:
        """What is to be told now, the lowest share first. Dollars of calls without a known price are not among those that count."""
        tokens = usage.input_tokens + usage.output_tokens
        caps: list[tuple[Cap, Decimal | int | None, Decimal | int]] = [
            ("max_cost", limits.usd, usage.least_usd),
            ("max_tokens", limits.tokens, tokens),
            ("warn_cost", limits.told_usd, usage.least_usd),
            ("warn_tokens", limits.told_tokens, tokens),
        ]
        found = []
        for cap, limit, spent in caps:
            for share in (*SHARES, 1.0) if cap in SOFT else SHARES:
                if limit is not None and spent >= Decimal(str(share)) * limit and (cap, share, float(limit)) not in self._told:
                    self._told.add((cap, share, float(limit)))
                    found.append(BudgetWarned(cap=cap, share=share, spent=float(spent), limit=float(limit)))
        return found


def warning(event: BudgetWarned) -> str:
    """What a person is told."""
    dollars = event.cap.endswith("cost")
    amount = f"${event.spent:,.4g} of ${event.limit:,.4g}" if dollars else f"{event.spent:,.0f} of {event.limit:,.0f} tokens"
    what = "nothing is stopped" if event.cap in SOFT else "then the playbook goes on"
    return f"models have taken {amount}, {event.share:.0%} of --{event.cap.replace('_', '-')} ({what})"
