"""Prices by the kept list: the same as its own arithmetic, none where nobody knows one, the user's before all, and on record."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from team.casting import Price
from team.pricing import listed_price, with_prices
from team.settings import load_settings, read_settings

MODELS = [
    (name, f"{name}:{model.id}")
    for name in ("openai", "anthropic")
    for provider in get_snapshot().providers
    if provider.id == name
    for model in provider.models
    if listed_price(f"{name}:{model.id}")
]
DEEPSEEK = "openai:deepseek-reasoner@https://api.deepseek.com"
TOKENS = st.integers(0, 500_000)
MOMENTS = st.datetimes(datetime(2025, 2, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


@pytest.fixture(autouse=True)
def _providers_own_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_the_list_knows_most_models_of_both_providers() -> None:
    assert sum(name == "openai" for name, _ in MODELS) > 40
    assert sum(name == "anthropic" for name, _ in MODELS) > 15


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*MODELS, ("deepseek", DEEPSEEK)]), TOKENS, TOKENS, TOKENS, TOKENS, MOMENTS)
def test_a_price_comes_to_what_the_list_s_own_arithmetic_comes_to(
    model: tuple[str, str], plain: int, read: int, written: int, output: int, at: datetime
) -> None:
    seller, spec = model
    price = listed_price(spec, at)
    assert price is not None
    usage = Usage(input_tokens=plain + read + written, output_tokens=output, cache_read_tokens=read, cache_write_tokens=written)
    name = spec.partition(":")[2].partition("@")[0]
    theirs = get_snapshot().calc(usage, name, seller, None, at)
    assert price.of(plain + read + written, output, read, written, at) == theirs.total_price


def test_longer_requests_and_other_hours_have_prices_of_their_own() -> None:
    tiered = Price.model_validate({"input": 3, "output": 15, "tiers": [{"above": 200_000, "input": 6, "output": 22.5}]})
    assert tiered.of(200_000, 0) == Decimal("0.6")
    assert tiered.of(200_001, 0) == Decimal("1.200006"), "the tier holds for all tokens of the request"
    night = Price.model_validate({"input": 1, "output": 1, "hours": [{"start": "22:00", "end": "06:00", "input": 0.5, "output": 0.5}]})
    assert night.of(1_000_000, 0, at=datetime(2026, 1, 1, 23, tzinfo=UTC)) == Decimal("0.5")
    assert night.of(1_000_000, 0, at=datetime(2026, 1, 1, 6, tzinfo=UTC)) == 1


@pytest.mark.parametrize(
    "spec",
    [
        "openai:gpt-5@http://127.0.0.1:8080/v1",
        "openai:gpt-5@http://box.local/v1",
        "openai:nobody-knows-this-one",
        "openai:gpt-5@https://models.example.org/v1",
        "playbook",
    ],
)
def test_nobody_s_price_stays_unknown(spec: str) -> None:
    assert listed_price(spec) is None


def test_an_address_by_a_variable_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed_price("openai:gpt-5") is not None
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert listed_price("openai:gpt-5") is None


def test_the_user_s_price_goes_first_and_what_the_list_says_is_kept(tmp_path: Path) -> None:
    config = tmp_path / "mlteam.yaml"
    config.write_text("prices: {'openai:gpt-5': {input: 0, output: 0}}\n")
    given = {
        "source": "a.csv",
        "model": "openai:gpt-5,anthropic:claude-sonnet-4-5",
        "models": {"critic": "openai:mine@http://localhost/v1"},
    }
    found = with_prices(load_settings(given, config))
    mine, theirs = found.price_of("openai:gpt-5"), found.price_of("anthropic:claude-sonnet-4-5")
    assert mine is not None
    assert theirs is not None
    assert (mine.of(10**6, 10**6), mine.by) == (0, "")
    assert theirs.by.startswith("genai-prices ")
    assert theirs.by.endswith(": anthropic/claude-sonnet-4-5")
    assert found.price_of("openai:mine@http://localhost/v1") is None
    path = tmp_path / "settings.yaml"
    path.write_text(found.to_yaml())
    assert read_settings(path).prices == found.prices
    assert with_prices(found) is found
