from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tools.effects import accumulated_effects, categorical, edges, ordered, partial_dependence


def frame(rows: int = 4000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, rows)
    return pd.DataFrame({"x": x, "z": x + 0.05 * rng.normal(size=rows), "c": rng.choice(["u", "v", "w"], rows, p=[0.5, 0.3, 0.2])})


def test_the_effect_of_a_linear_function_is_its_line() -> None:
    X = frame()
    curve = ordered(lambda rows: (3 * rows["x"] - 2 * rows["z"]).to_numpy(), X, "x", 300)
    assert curve is not None
    assert curve.accumulated is not None
    assert np.allclose(np.diff(curve.accumulated[:, 0]), 3 * np.diff(curve.at))
    assert np.allclose(np.diff(curve.partial[:, 0]), 3 * np.diff(curve.at))
    assert np.allclose(curve.partial[:, 0], 3 * curve.at - 2 * X["z"].iloc[:300].mean())
    # Centred over the rows, by the middle of their bins.
    assert np.interp(X["x"], curve.at, curve.accumulated[:, 0]).mean() == pytest.approx(0, abs=0.01)


def test_where_columns_go_together_it_stays_with_the_rows_that_exist() -> None:
    """f = x z with z = x: along the data the effect of x adds up to x²/2; partial dependence says x times the mean of z."""
    X = frame()
    curve = ordered(lambda rows: (rows["x"] * rows["z"]).to_numpy(), X, "x", len(X))
    assert curve is not None
    assert curve.accumulated is not None
    wanted = curve.at**2 / 2
    assert np.allclose(curve.accumulated[:, 0] - curve.accumulated[0, 0], wanted - wanted[0], atol=0.01)
    assert np.allclose(curve.partial[:, 0], curve.at * X["z"].mean())


def test_several_outputs_dates_and_gaps() -> None:
    X = frame(500)
    X["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(500), unit="D")
    X.loc[::3, "when"] = pd.NaT

    def predict(rows: pd.DataFrame) -> np.ndarray:
        days = (rows["when"] - pd.Timestamp("2024-01-01")).dt.days.fillna(0).to_numpy()
        return np.column_stack([days, -2 * days])

    at = edges(X["when"])
    found = accumulated_effects(predict, X, "when", at)
    days = (at - np.datetime64("2024-01-01")) / np.timedelta64(1, "D")
    assert np.allclose(np.diff(found[:, 0]), np.diff(days))
    assert np.allclose(found[:, 1], -2 * found[:, 0])


def test_levels_are_set_one_by_one_the_commonest_first() -> None:
    X = frame(300)
    curve = categorical(lambda rows: rows["c"].map({"u": 1.0, "v": 2.0, "w": 3.0}).to_numpy(), X, "c", 100)
    assert curve is not None
    assert list(curve.at) == ["u", "v", "w"]
    assert np.allclose(curve.partial[:, 0], [1, 2, 3])
    assert curve.accumulated is None


def test_columns_without_two_values_have_no_effect() -> None:
    X = frame(50).assign(x=1.0, c="u", e=np.nan)
    for column in ("x", "e"):
        assert ordered(lambda rows: rows["x"].to_numpy(), X, column, 50) is None
    assert categorical(lambda rows: rows["x"].to_numpy(), X, "c", 50) is None


def test_partial_dependence_is_that_of_scikit_learn() -> None:
    from sklearn.inspection import partial_dependence as theirs
    from sklearn.tree import DecisionTreeRegressor

    X = frame(300)[["x", "z"]]
    model = DecisionTreeRegressor(max_depth=4).fit(X, X["x"] * X["z"])
    at = edges(X["x"], 5)
    wanted = theirs(model, X, [0], custom_values={0: at}, method="brute")["average"][0]
    assert np.allclose(partial_dependence(model.predict, X, "x", at)[:, 0], wanted)
