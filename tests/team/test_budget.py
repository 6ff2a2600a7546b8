"""The meter: search time, trials, and costs that are not known."""

from __future__ import annotations

from decimal import Decimal

import pytest

from team.budget import Limits, Meter
from team.errors import BudgetExceeded


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
