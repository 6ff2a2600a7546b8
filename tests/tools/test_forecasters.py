"""Families that forecast: the floor by hand, trends that are followed, and no look into the future."""

from __future__ import annotations

import pickle
import sys
import tracemalloc
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd
import pytest

from tests.tools.forecasting import AIRLINE, opened, problem_of, stores
from tools.crossval import setting_for
from tools.families import LEARNS, FamilyUnavailable, _built_in, family
from tools.families.fitted import Fitted
from tools.families.lagged import MOST_PAIRS, _pairs
from tools.families.setting import FitContext
from tools.folds import fit_rows
from tools.forecast import Forecast
from tools.panel import Panel
from tools.preparation import every_column
from tools.problem import Problem
from tools.tables import TableError
from tools.timeline import Frequency

FORECASTERS = ["seasonal_naive", "theta", "ets", "lags_linear", "lags_lightgbm", "lags_catboost"]


@cache
def shops(planted: str = "") -> Problem:
    """Four series; with `planted` a column of that name that is the target itself."""
    table = stores(90)
    known = ["promo"]
    if planted:
        table[planted] = table.sales
        known += [planted] if planted == "known" else []
    h, _ = opened(Path(mkdtemp()), table, target="sales", series="store,item", known=",".join(known), horizon=7, folds=2)
    return problem_of(h)


@cache
def airline() -> Problem:
    return problem_of(opened(Path(mkdtemp()), AIRLINE, target="passengers", task="forecast", folds=2)[0])


def fitted_on(name: str, problem: Problem, fold: int, like: Problem | None = None, iterations: int = 25) -> tuple[Fitted, np.ndarray]:
    """As cross-validation fits it, the fold's rows handed along, by the settings of `like`; and the positions of those rows."""
    like = like or problem
    setting = setting_for(like, every_column(like.schema))
    learn, check = fit_rows(problem.folds, fold, problem.contract), np.flatnonzero(problem.folds == fold)
    params = family(name).default(setting)[0]
    context = FitContext(iterations=iterations if family(name).iterative else None)
    X, y = problem.X, problem.y
    return family(name).fit(X.iloc[learn], y[learn], X.iloc[check], y[check], params, setting, context), check


@pytest.mark.parametrize("name", FORECASTERS)
def test_nothing_of_the_future_moves_a_forecast(name: str) -> None:
    """The values to come, and columns that nobody knows ahead, are replaced by other ones."""
    problem = shops()
    fitted, check = fitted_on(name, problem, 0)
    found = fitted.predict(problem.ahead(problem.X.iloc[check]))
    later = problem.folds >= 0
    y = np.where(later, 1e6, problem.y)
    X = problem.X.assign(visitors=problem.X.visitors.where(~later, -1e6))
    other = replace(problem, X=X, y=y)
    again, _ = fitted_on(name, other, 0, like=problem)
    assert "visitors" not in other.ahead(X)
    assert np.array_equal(again.predict(other.ahead(X.iloc[check])), found)
    assert np.isfinite(found).all()


def score_of(problem: Problem) -> float:
    fitted, check = fitted_on("lags_lightgbm", problem, 1, iterations=300)
    oof = np.full(problem.n_rows, np.nan)
    oof[check] = fitted.predict(problem.ahead(problem.X.iloc[check]))
    return problem.score(oof, check)


def test_a_planted_leak_helps_only_where_the_user_says_that_it_is_known_ahead() -> None:
    honest, past, known = (score_of(shops(planted)) for planted in ("", "seen", "known"))
    assert past > 0.8 * honest
    assert known < 0.7 * honest


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_row_is_forecast_alike_alone_and_in_any_order(name: str) -> None:
    problem = shops()
    fitted, check = fitted_on(name, problem, 1)
    fitted = pickle.loads(pickle.dumps(fitted))
    rows = problem.ahead(problem.X.iloc[check])
    found = fitted.predict(rows)
    order = np.random.default_rng(0).permutation(len(rows))
    assert fitted.predict(rows.iloc[order]) == pytest.approx(found[order])
    assert fitted.predict(rows.iloc[[3]]) == pytest.approx(found[[3]])


def test_the_floor_is_last_years_month() -> None:
    problem = airline()
    fitted, check = fitted_on("seasonal_naive", problem, 1)
    assert fitted.predict(problem.X.iloc[check]).tolist() == problem.y[check - 12].tolist()


@pytest.mark.parametrize("name", FORECASTERS[1:])
def test_learners_beat_the_floor_on_a_series_that_grows(name: str) -> None:
    problem = airline()
    fitted, check = fitted_on(name, problem, 1)
    floor = np.abs(problem.y[check] - problem.y[check - 12]).mean()
    assert np.abs(problem.y[check] - fitted.predict(problem.X.iloc[check])).mean() < floor


@pytest.mark.parametrize("name", ["lags_lightgbm", "lags_catboost"])
def test_trees_follow_a_trend_beyond_all_that_they_have_seen(name: str, tmp_path: Path) -> None:
    when = pd.date_range("2020-01-01", periods=72, freq="MS")
    growing = pd.DataFrame({"month": when, "users": 100 * 1.03 ** np.arange(72) * (1 + 0.2 * np.sin(np.arange(72) * np.pi / 6))})
    problem = problem_of(opened(tmp_path, growing, target="users", task="forecast", horizon=12, folds=2)[0])
    fitted, check = fitted_on(name, problem, 1)
    assert fitted.predict(problem.X.iloc[check]).max() > problem.y[: check[0]].max()


@pytest.mark.parametrize("scale", ["ratio", "difference"])
def test_series_that_have_not_moved_yet_spoil_no_others_and_stay(scale: str, tmp_path: Path) -> None:
    days, y = pd.date_range("2024-01-01", periods=60), 100 + np.arange(60) + 10 * np.sin(np.arange(60) * 2 * np.pi / 7)
    parts = {"begins": np.where(np.arange(60) < 30, 0.0, y), "flat": np.full(60, 0.1), "large": 1e6 * y, "zero": np.zeros(60), "usual": y}
    table = pd.concat([pd.DataFrame({"day": days, "shop": shop, "y": values}) for shop, values in parts.items()])
    problem = problem_of(opened(tmp_path, table, target="y", series="shop", horizon=7, folds=2)[0])
    setting, (learn, check) = setting_for(problem, every_column(problem.schema)), problem.scheme.rows(problem.parts[-1])
    params = next(each for each in family("lags_linear").default(setting) if each["scale"] == scale)
    X, y = problem.X, problem.y
    found = family("lags_linear").fit(X.iloc[learn], y[learn], None, None, params, setting, FitContext()).predict(X.iloc[check])
    shop = X.shop.iloc[check].to_numpy()
    assert not found[shop == "zero"].any()
    # What never moved stays where distances are learnt; as a ratio it is 1, which is learnt from others as well.
    assert found[shop == "flat"] == pytest.approx(y[check][shop == "flat"], rel=1e-9 if scale == "difference" else 0.1)
    for moving in ("usual", "large"):
        assert found[shop == moving] == pytest.approx(y[check][shop == moving], rel=0.15)


def test_a_long_horizon_makes_no_more_pairs_than_are_looked_at() -> None:
    forecast = Forecast(time="day", horizon=500, frequency=Frequency(unit="number", size=1), season=7, scales={})
    X = pd.DataFrame({"day": np.arange(40_000.0)})
    panel = Panel.of(X, np.sin(np.arange(40_000.0)), forecast)
    tracemalloc.start()
    rows, _, origins, ahead = _pairs(panel, X, 7, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # all 20 million would take 320 MB
    assert len(rows) == MOST_PAIRS
    assert (ahead.min(), ahead.max()) == (1, 500)
    assert (origins + ahead == rows).all()


def test_rows_that_are_no_future_are_refused() -> None:
    problem = airline()
    fitted, _ = fitted_on("seasonal_naive", problem, 1)
    with pytest.raises(TableError, match=r"'month' of row 2 lies 3 steps before the first that can be forecast"):
        fitted.predict(pd.DataFrame({"month": pd.to_datetime(["1960-01-01", "1958-10-01"])}))


def test_families_are_told_apart_by_what_they_forecast() -> None:
    forecasters = set(LEARNS["forecast"])
    assert {"theta", "lags_lightgbm"} < forecasters
    assert not any(forecasters & set(names) for task, names in LEARNS.items() if task != "forecast")


def test_a_missing_library_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    _built_in.cache_clear()
    with pytest.raises(FamilyUnavailable, match=r"`pip install 'mlteam\[forecast\]'` adds the family 'ets'"):
        family("ets")
    _built_in.cache_clear()
