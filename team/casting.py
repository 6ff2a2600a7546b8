"""Which models a run asks: one for all roles or one each, as many in a list as shall stand in for one another, and what they cost."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from team.errors import UsageError
from team.setting_values import Duration

PLAYBOOK = "playbook"
_PER_TOKENS = 1_000_000


class RoleModels(BaseModel):
    """Models of single roles; None takes the one of all roles."""

    model_config = ConfigDict(extra="forbid")

    planner: str | None = None
    data_scientist: str | None = None
    engineer: str | None = None
    critic: str | None = None
    writer: str | None = None
    release_manager: str | None = None


class Models(RoleModels):
    """Models of single roles, and how models are asked: seconds that a request may take, tokens that a reply may have.

    The seconds fit a small model on a processor, which reads 57 tokens a second and writes 15: a request of 3,000 tokens is read in
    53 s, and a reply of 900 written in 60.
    """

    request_s: Duration = Field(600.0, gt=0, le=86_400, allow_inf_nan=False)
    """Until a reply is whole."""
    first_s: Duration = Field(180.0, gt=0, le=86_400, allow_inf_nan=False)
    """Until its first piece comes, while the model reads the request."""
    stall_s: Duration = Field(90.0, gt=0, le=86_400, allow_inf_nan=False)
    """Between two pieces of it."""
    reply_tokens: int | None = Field(None, ge=50)
    """Longest reply; None takes 600 of a model on this machine or its network, and 4,000 of others."""
    code_tokens: int | None = Field(None, ge=50)
    """Longest reply where code may be written; None takes 900 and 8,000."""


class Rate(BaseModel):
    """Dollars per million tokens."""

    model_config = ConfigDict(extra="forbid")

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cache_read: Decimal | None = Field(None, ge=0)
    """Of input that came from a prompt cache; None for the price of input."""
    cache_write: Decimal | None = Field(None, ge=0)
    """Of input that went into one; None for the price of input."""

    def charge(self, prompt_tokens: int, completion_tokens: int, cache_read_tokens: int, cache_write_tokens: int) -> Decimal:
        """Dollars at these prices. `prompt_tokens` counts what the caches had or got too."""
        read = self.input if self.cache_read is None else self.cache_read
        written = self.input if self.cache_write is None else self.cache_write
        plain = prompt_tokens - cache_read_tokens - cache_write_tokens
        tokens = plain * self.input + cache_read_tokens * read + cache_write_tokens * written + completion_tokens * self.output
        return tokens / _PER_TOKENS


class Tier(Rate):
    """What all tokens of a request cost whose input is longer than `above` tokens."""

    above: int = Field(ge=0)


class Hours(Rate):
    """What tokens cost between two times of the day, UTC; the end does not belong to it, and may lie on the next day."""

    start: time
    end: time

    def hold(self, now: time) -> bool:
        """Whether they hold at this time of the day, UTC."""
        return self.start <= now < self.end if self.start <= self.end else now >= self.start or now < self.end


class Price(Rate):
    """What a model costs, in dollars per million tokens, as its provider's list says."""

    tiers: list[Tier] = []
    """Prices of longer requests; the one with the highest bound that a request exceeds holds."""
    hours: list[Hours] = []
    """Prices at other times of the day; the first that holds goes before everything else."""
    by: str = ""
    """Which list says so, and under which name it has the model; empty where the user does."""

    def of(
        self,
        prompt_tokens: int,
        completion_tokens: int,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        at: datetime | None = None,
    ) -> Decimal:
        """Dollars of a reply.

        Args:
            prompt_tokens: all of the request, what the caches had or got included.
            at: when it was asked for, with its time zone; None for now.
        """
        rate = self._rate(prompt_tokens, at)
        return rate.charge(prompt_tokens, completion_tokens, cache_read_tokens, cache_write_tokens)

    def _rate(self, prompt_tokens: int, at: datetime | None) -> Rate:
        if self.hours:
            now = (at or datetime.now(UTC)).astimezone(UTC).time()
            if (held := next((one for one in self.hours if one.hold(now)), None)) is not None:
                return held
        return max((tier for tier in self.tiers if prompt_tokens > tier.above), key=lambda tier: tier.above, default=self)


def split_specs(spec: str) -> list[str]:
    """The models of a list, in the order in which they are asked.

    Raises:
        UsageError: when one is empty or stands there twice, or the playbook, which always answers, is not the last.
    """
    if spec.startswith("replay:"):  # a path may hold a comma
        return [spec]
    specs = [one.strip() for one in spec.split(",")]
    if "" in specs or len(set(specs)) < len(specs) or PLAYBOOK in specs[:-1]:
        raise UsageError(
            f"model {spec!r} names nothing, one model twice, or some after the playbook; expected names with commas, such as a,b,playbook."
        )
    return specs


def members_of(spec: str) -> list[str]:
    """The models that a turn asks. A run's playbook stands in for all of them by taking the turn, so it is left out unless it is alone."""
    specs = split_specs(spec)
    return [one for one in specs if one != PLAYBOOK] or specs


def is_free(spec: str) -> bool:
    """Whether a single model is known to cost nothing: the playbook, and answers that were paid for before."""
    return provider_of(spec)[0] in (PLAYBOOK, "replay")


def provider_of(spec: str) -> tuple[str, str]:
    """Provider and model name of a single model, as traces name them."""
    provider, _, rest = spec.partition(":")
    return provider, (rest if provider == "replay" else rest.partition("@http")[0]) or provider
