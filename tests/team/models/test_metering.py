"""What calls cost, and answers that are never paid for twice."""

from __future__ import annotations

import json
from collections import deque
from decimal import Decimal
from typing import Any

import pytest
from autogen_core.models import CreateResult, UserMessage

from team.casting import Price
from team.errors import ModelUnreachable
from team.models.fallback import FallbackClient
from team.models.metering import Calls, KeepingClient, MeteredClient, ModelCall
from team.models.reply import TokenUsage
from tests.scripted import ScriptedClient

GO = UserMessage(content="Go.", source="conductor")
PRICE = Price(input=Decimal(2), output=Decimal(10), cache_read=Decimal("0.2"))


class Answering(ScriptedClient):
    """Replies with a usage of the test's own."""

    component_provider_override = "tests.team.models.test_metering.Answering"
    usage = TokenUsage(1_000_000, 100_000, cache_read_tokens=500_000)

    async def create(self, messages: Any, **options: Any) -> CreateResult:  # type: ignore[override]  # the base's keywords
        result = await super().create(messages, **options)
        result.usage = self.usage
        return result


async def test_a_call_costs_what_the_list_says_and_the_caches_part_its_own_price() -> None:
    noted: list[ModelCall] = []
    await MeteredClient(Answering(["hello"]), "writer", "openai:m", noted.append, PRICE).create([GO])
    (call,) = noted
    assert call.usd == Decimal("2.1"), "half a million at 2, half a million at 0.2, a tenth of a million at 10"
    assert (call.input_tokens, call.output_tokens, call.cache_read_tokens) == (1_000_000, 100_000, 500_000)


@pytest.mark.parametrize(
    ("price", "error", "usd"),
    [
        (None, None, None),
        (PRICE, ModelUnreachable("cut off"), None),
        (PRICE, ModelUnreachable("refused", spent=TokenUsage(0, 0)), Decimal(0)),
        (None, ModelUnreachable("refused", spent=TokenUsage(0, 0)), None),
    ],
    ids=["no price", "nobody knows", "nothing", "nothing, without a price"],
)
async def test_what_is_not_known_has_no_price(price: Price | None, error: Exception | None, usd: Decimal | None) -> None:
    noted: list[ModelCall] = []
    client = MeteredClient(ScriptedClient([error or "hello"]), "writer", "openai:m", noted.append, price)
    try:
        await client.create([GO])
    except ModelUnreachable:
        assert error is not None
    assert [call.usd for call in noted] == [usd]


class Kept:
    """Answers as a file keeps them."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque()

    def next(self) -> dict[str, Any] | None:
        return json.loads(self.lines.popleft()) if self.lines else None

    place = "1/writer/1"

    def keep(self, request: dict[str, Any], *, answer: dict[str, Any] | None = None, error: str | None = None) -> None:
        assert request["last"] == "Go."
        self.lines.append(json.dumps(answer))


async def test_an_answer_that_another_model_gave_is_given_again_with_all_that_it_cost() -> None:
    def team(noted: list[ModelCall], first: ScriptedClient, second: ScriptedClient, kept: Kept) -> KeepingClient:
        calls = Calls(noted.append)
        members = [
            ("openai:a", MeteredClient(first, "writer", "openai:a", calls, PRICE)),
            ("openai:b", MeteredClient(second, "writer", "openai:b", calls, PRICE)),
        ]
        return KeepingClient(FallbackClient(members), kept, calls)

    kept, before, after = Kept(), [], []  # type: ignore[var-annotated]  # said below
    paid = ModelUnreachable("nothing usable", spent=TokenUsage(100, 10))
    answer = await team(before, ScriptedClient([paid]), Answering([("tune", {"family": "tree"})]), kept).create([GO])
    silent = ScriptedClient([])
    again = await team(after, silent, silent, kept).create([GO])
    assert (again.content, again.usage, again.finish_reason) == (answer.content, answer.usage, answer.finish_reason)
    assert silent.requests == []
    assert [(c.model, c.input_tokens, c.usd, c.error) for c in after] == [(c.model, c.input_tokens, c.usd, c.error) for c in before]
    assert [c.model for c in before] == ["a", "b"]
