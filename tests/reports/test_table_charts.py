"""The charts of the table itself: each says what the rows say, and is left out where they say nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.plotly_page import Chart, claims
from reports.table_charts import table_charts
from tests.reports.written import contract
from tools.understanding.findings import Informative, Relation, Understanding

RNG = np.random.default_rng(0)
TOLD = Understanding(
    informative=[Informative(column="mass", bits=0.5, share=0.5), Informative(column="isle", bits=0.5, share=0.5)],
    relations=[
        Relation(column="mass", other="depth", measure="pearson", value=-0.75),
        Relation(column="isle", other="kind", measure="cramers_v", value=0.5),
    ],
)


def rows(n: int = 200) -> pd.DataFrame:
    frame = pd.DataFrame({"mass": RNG.normal(size=n), "depth": RNG.normal(size=n), "isle": ["a", "b"] * (n // 2), "kind": ["x"] * n})
    frame["day"] = pd.date_range("2024-01-01", periods=n)
    frame.loc[: n // 4 - 1, "depth"] = np.nan
    return frame


def drawn(frame: pd.DataFrame, y: pd.Series | None, found: Understanding = TOLD, **changes: object) -> dict[str, Chart]:
    return {chart.title: chart for chart in table_charts(frame, y, contract(**changes), found)}


def test_a_table_of_classes() -> None:
    frame = rows()
    found = drawn(frame, pd.Series(["MALE"] * 150 + ["FEMALE"] * 50))
    assert list(found) == ["The target", "Distribution of mass", "Missing values", "Columns that go together"]
    assert found["The target"].told == [("Sex", "MALE: 150 rows, 75 %"), ("Sex", "FEMALE: 50 rows, 25 %")]
    assert sum(found["Distribution of mass"].figure["data"][0]["y"]) == len(frame)
    assert [text for _, text in found["Missing values"].told] == ["depth: 25 % missing"]
    heat = found["Columns that go together"]
    assert {text for _, text in heat.told} == {"mass and depth: Pearson's correlation -0.75", "isle and kind: Cramér's V 0.50"}
    assert {"-0.75", "0.5"} <= set(claims(heat)), "what is drawn goes against the record as well"
    assert heat.figure["data"][0]["z"][0][1] == heat.figure["data"][0]["z"][1][0] == -0.75


def test_a_table_of_values_in_time() -> None:
    frame = rows()
    price = pd.Series(np.arange(200.0))
    found = drawn(frame, price, target="price", task="regression", metric="rmse", direction="minimize", classes=[], positive=None)
    assert "Half of 200 rows lie up to 99.5" in found["The target"].note
    course = found["mean of price in time"].told
    assert course[0] == ("price", "2024-01-01 to 2024-01-05: 2, 5 rows")
    assert len(course) == 40


def test_what_says_nothing_is_left_out() -> None:
    frame = rows().drop(columns=["depth", "day"])
    assert drawn(frame.assign(mass=1.0), None, Understanding(informative=TOLD.informative)) == {}
