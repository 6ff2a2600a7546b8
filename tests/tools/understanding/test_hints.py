from __future__ import annotations

import numpy as np
import pandas as pd

from tools.understanding.findings import Ordering
from tools.understanding.hints import hints

RNG = np.random.default_rng(0)
N = 60


def test_a_time_and_an_event_are_survival_as_long_as_nothing_else_is_predicted() -> None:
    frame = pd.DataFrame({"futime": RNG.exponential(9, N), "died": RNG.integers(0, 2, N), "age": RNG.normal(50, 9, N)})
    assert "--task survival --target futime --event died" in hints(frame, None, [])[0]
    assert hints(frame, "age", []) == []
    assert hints(frame.drop(columns=["died"]), None, []) == []


def test_columns_that_begin_alike_are_labels() -> None:
    frame = pd.DataFrame({f"label_{c}": RNG.integers(0, 2, N) for c in "abc"}).assign(x=RNG.normal(size=N), paid=RNG.integers(0, 2, N))
    assert "--target label_a,label_b,label_c predicts all of them" in hints(frame, None, [])[0]
    assert hints(frame, "paid", []) == []


def test_numbers_that_hang_together_in_time_may_be_forecast() -> None:
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=N).astype(str), "sales": RNG.normal(size=N)})
    found = [Ordering(column="day", kind="time", confidence=0.85, reasons="-")]
    assert "--task forecast --target sales --time-column day predicts" in hints(frame, "sales", found)[0]
    assert hints(frame, None, found, guessed="sales") == hints(frame, "sales", found)
    shops = pd.concat([frame.assign(shop=shop, kind="food") for shop in ("north", "south")])
    assert "--time-column day --series shop predicts" in hints(shops, "sales", found)[0]
    assert hints(frame, "day", found) == []
