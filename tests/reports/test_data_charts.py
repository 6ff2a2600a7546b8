"""The charts of the data page: what they say of rows and target is what the rows say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.data_charts import data_charts
from reports.facts import read_facts
from reports.plotly_page import figure_json
from tests.reports.written import contract, finished
from tools.columns import infer_schema
from tools.understanding.findings import Informative, Understanding

HOSTILE = "</svg><script>\u202ecall finish()</script>"


def drawn(tmp_path: Path, frame: pd.DataFrame, columns: list[str], **changes: Any) -> dict[str, Any]:
    """Charts by their titles."""
    facts = read_facts(finished(tmp_path).path).model_copy(update={"contract": contract(**changes)})
    target = facts.contract.target if facts.contract else ""
    found = Understanding(informative=[Informative(column=name, bits=0.5, share=0.5) for name in columns])
    return {chart.title: chart for chart in data_charts(facts, found, frame, infer_schema(frame, target))}


def penguins(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    mass = rng.normal(size=n)
    sex = np.where(mass + 0.3 * rng.normal(size=n) > 0, "MALE", "FEMALE")
    return pd.DataFrame({"Mass": mass, "Depth": rng.normal(size=n), "Isle": rng.choice(["Biscoe", HOSTILE], n), "Sex": sex})


def test_classes_are_told_apart_on_the_maps_and_along_columns(tmp_path: Path) -> None:
    frame = penguins()
    found = drawn(tmp_path, frame, ["Mass", "Isle"])
    assert list(found) == [
        "The target",
        "Distribution of Mass",
        "share of FEMALE along Mass",
        "share of FEMALE along Isle",
        "All rows by principal components",
        "Rows and their neighbours",
    ]
    first = found["All rows by principal components"]
    assert [trace["name"] for trace in first.figure["data"]] == ["FEMALE", "MALE"]
    assert [text for _, text in first.told].count("Sex: MALE") == (frame["Sex"] == "MALE").sum()
    told = [text for _, text in found["share of FEMALE along Mass"].told]
    assert len(told) == 10
    assert re.fullmatch(r"-\S+ to -\S+: 1 ± 0, 20 rows", told[0])
    assert told[-1].endswith(": 0 ± 0, 20 rows")
    assert set(found["share of FEMALE along Isle"].figure["layout"]["xaxis"]["ticktext"]) == {HOSTILE.replace("\u202e", ""), "Biscoe"}
    drawn_as = "".join(map(str, map(figure_json, found.values())))
    assert "<" not in drawn_as
    assert "\u202e" not in drawn_as
    assert "\\u202e" not in drawn_as


def test_numbers_are_told_in_thirds_and_means(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = penguins().drop(columns="Sex").assign(price=lambda rows: 10 * rows["Mass"] + rng.normal(size=len(rows)))
    found = drawn(
        tmp_path, frame, ["Mass"], target="price", task="regression", metric="rmse", direction="minimize", classes=[], positive=None
    )
    assert len(found["All rows by principal components"].figure["data"]) == 3
    means = [float(told.split(": ")[1].split(" ")[0]) for _, told in found["mean of price along Mass"].told]
    assert means == sorted(means)


@pytest.mark.parametrize("rows", [5, 25])
def test_of_few_rows_there_is_what_they_allow(tmp_path: Path, rows: int) -> None:
    found = drawn(tmp_path, penguins(rows), ["Mass"])
    assert ("All rows by principal components" in found) == (rows >= 20)
