"""What a run may spend, what it has spent, and the refusal to spend more.

Unknown prices stay unknown: a cost is None, never zero, unless it is known to be nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from team.errors import BudgetExceeded, MlteamError

CLOSING_SHARE = 0.1
"""Of what models may cost, kept for the writer and the release manager."""
SMALLEST_SEARCH_S = 0.5
"""A search call with less time than this could not fit anything."""


@dataclass(frozen=True)
class Limits:
    """What the user allows."""

    search_s: float
    """Seconds of search calls, added up."""
    trials: int | None = None
    """Tuning trials in all; None means no limit."""
    usd: Decimal | None = None
    """Dollars for models in all; None means no limit."""
    tokens: int | None = None
    """Tokens of models in all, input and output; None means no limit."""
    told_usd: Decimal | None = None
    """Dollars that the user wants to be told of; nothing is refused."""
    told_tokens: int | None = None


@dataclass
class Usage:
    """What was spent. Written to the checkpoint, so that it survives the process."""

    search_s: float = 0.0
    trials: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal | None = field(default_factory=Decimal)
    """None as soon as one call had no known price."""
    model_calls: int = 0
    least_usd: Decimal = field(default_factory=Decimal)
    """What the calls with a known price cost: at least that much."""
    unpriced_calls: int = 0


class Meter:
    """Counts spending against the limits."""

    def __init__(self, limits: Limits, usage: Usage | None = None) -> None:
        self.limits = limits
        self.usage = usage or Usage()

    @property
    def search_left_s(self) -> float:
        return max(0.0, self.limits.search_s - self.usage.search_s)

    @property
    def trials_left(self) -> int | None:
        return None if self.limits.trials is None else max(0, self.limits.trials - self.usage.trials)

    @property
    def search_spent(self) -> bool:
        """Whether no further search call can start."""
        return self.search_left_s < SMALLEST_SEARCH_S

    def check_search(self) -> None:
        """Refuse a search call that has no time left.

        Raises:
            BudgetExceeded: when the search time is spent.
        """
        if self.search_spent:
            raise BudgetExceeded("time", round(self.usage.search_s, 1), self.limits.search_s, "s of search")

    def charge_search(self, seconds: float, trials: int = 0) -> None:
        self.usage.search_s += seconds
        self.usage.trials += trials

    def charge_model(self, input_tokens: int, output_tokens: int, usd: Decimal | None) -> None:
        self.usage.model_calls += 1
        self.usage.input_tokens += input_tokens
        self.usage.output_tokens += output_tokens
        self.usage.usd = None if usd is None or self.usage.usd is None else self.usage.usd + usd
        self.usage.least_usd += usd or 0
        self.usage.unpriced_calls += usd is None

    def check_model(self, tokens: int, usd: Decimal | None, *, closing: bool) -> None:
        """Refuse a model call that could pass a limit. What fails, is repeated or repaired counts like any other call.

        Args:
            tokens: that the call is likely to take.
            usd: what it is likely to cost; None where no price is known.
            closing: whether it is about documents and release, for which a part of every limit is kept.

        Raises:
            BudgetExceeded: naming the limit.
        """
        part = 1 if closing else 1 - CLOSING_SHARE
        spent, limits = self.usage, self.limits
        if limits.tokens is not None and spent.input_tokens + spent.output_tokens + tokens > part * limits.tokens:
            raise BudgetExceeded("tokens", spent.input_tokens + spent.output_tokens, limits.tokens, "tokens")
        if limits.usd is None:
            return
        if spent.usd is None or usd is None:
            raise MlteamError("the cost so far cannot be told, since a call was not answered to its end; no more is spent under --max-cost")
        if spent.usd + usd > Decimal(str(part)) * limits.usd:
            raise BudgetExceeded("cost", float(round(spent.usd, 4)), float(limits.usd), "dollars")
