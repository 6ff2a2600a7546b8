"""The meter: search time, trials, and costs that are not known."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from team.budget import Limits, Meter
from team.errors import BudgetExceeded, MlteamError, UsageError
from team.playbook import PlaybookClient
from team.run import start
from team.settings import load_settings
from tests.scripted import ScriptedClient


def test_search_time_is_spent_call_by_call() -> None:
    meter = Meter(Limits(search_s=10))
    meter.check_search()
    meter.charge_search(9.8)
    assert meter.search_spent
    with pytest.raises(BudgetExceeded, match=r"time limit reached: 9.8 of 10 s of search"):
        meter.check_search()


def test_trials_are_counted_only_where_limited() -> None:
    assert Meter(Limits(search_s=10)).trials_left is None
    meter = Meter(Limits(search_s=10, trials=5))
    meter.charge_search(1, trials=7)
    assert meter.trials_left == 0


def test_an_unknown_price_makes_the_whole_cost_unknown() -> None:
    meter = Meter(Limits(search_s=10))
    meter.charge_model(100, 20, Decimal("0.01"))
    assert meter.usage.usd == Decimal("0.01")
    meter.charge_model(100, 20, None)
    meter.charge_model(100, 20, Decimal("0.01"))
    assert meter.usage.usd is None
    assert (meter.usage.input_tokens, meter.usage.output_tokens, meter.usage.model_calls) == (300, 60, 3)


def test_a_model_is_not_asked_where_it_could_pass_a_limit_and_a_part_is_kept_for_the_end() -> None:
    meter = Meter(Limits(search_s=10, tokens=1000, usd=Decimal("0.10")))
    meter.charge_model(500, 100, Decimal("0.02"))
    meter.check_model(250, Decimal("0.01"), closing=False)
    with pytest.raises(BudgetExceeded, match="tokens limit reached: 600 of 1000 tokens spent"):
        meter.check_model(350, Decimal("0.01"), closing=False)
    meter.check_model(350, Decimal("0.01"), closing=True)
    with pytest.raises(BudgetExceeded, match=r"cost limit reached: 0.02 of 0.1 dollars spent"):
        meter.check_model(10, Decimal("0.075"), closing=False)
    meter.check_model(10, Decimal("0.075"), closing=True)


def test_a_cost_that_cannot_be_told_ends_spending() -> None:
    meter = Meter(Limits(search_s=10, usd=Decimal(1)))
    meter.charge_model(0, 0, None)
    with pytest.raises(MlteamError, match="the cost so far cannot be told"):
        meter.check_model(10, Decimal(0), closing=True)
    Meter(Limits(search_s=10)).check_model(10**9, None, closing=False)


def test_a_limit_in_dollars_needs_prices(tmp_path: Path) -> None:
    given = {"source": "sklearn:iris", "target": "target", "out": tmp_path, "model": "openai:big", "max_cost": "0.5"}
    with pytest.raises(UsageError, match=r"--max-cost 0.5 needs the price of openai:big.*--max-tokens"):
        start(load_settings(given), clients=lambda _: ScriptedClient([]))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "limit",
    [
        {"max_tokens": 1},
        {"max_cost": "0.0001", "prices": {"openai:big": {"input": 10, "output": 10}}},
        {"expected_cost": "0.0001", "prices": {"openai:big": {"input": 10, "output": 10}}},
    ],
)
def test_the_playbook_finishes_a_run_whose_models_may_cost_no_more(tmp_path: Path, limit: dict[str, Any]) -> None:
    never_asked = ScriptedClient([])
    given = {
        "source": "sklearn:iris",
        "target": "target",
        "time": "60s",
        "trials": 0,
        "folds": 2,
        "families": "linear",
        "sandbox": "unsafe-local",
    }
    settings = load_settings({**given, "out": tmp_path, "model": "openai:big", **limit})
    summary = start(settings, clients=lambda spec: PlaybookClient() if spec == "playbook" else never_asked)
    assert summary["status"] == "done"
    assert not never_asked.requests
    told = [
        why
        for why in summary["fallbacks"]
        if "limit reached" in why or "more than the 0.0001 dollars that were foreseen: nobody could be asked" in why
    ]
    assert len(told) == 2, "once in the search, once when documents are written"
    assert all("the playbook goes on from here" in why for why in told)
