"""A forecast is settled from rows and wish, sealed, and cut into backtests; what cannot be one is refused with the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.hosting import Hosting
from tests.tools.forecasting import AIRLINE, opened, problem_of, stores
from tools.folds import fit_rows
from tools.forecast import scales_of, steps_to_end
from tools.spec import InputRefused, ToolRefused
from tools.workspace import Workspace


def test_what_is_left_out_is_inferred_and_told(tmp_path: Path) -> None:
    h, sealed = opened(tmp_path, AIRLINE, target="passengers", task="forecast")
    contract = h.vault.contract
    assert contract.forecast is not None
    assert (sealed.task, sealed.metric, sealed.split, contract.predicts) == ("forecast", "mase", "time by month", "values")
    assert (contract.forecast.horizon, contract.forecast.season, contract.folds) == (12, 12, 5)
    assert (sealed.rows_train, sealed.rows_holdout) == (132, 12)
    assert sealed.forecast is not None
    told = " ".join(sealed.forecast.notes)
    assert "'month' alone holds dates" in told
    assert "advance monthly" in told
    assert "No horizon was named: 12 steps" in told
    y = pd.read_csv(AIRLINE).passengers.to_numpy(float)[:132]
    assert contract.forecast.scales == {"": pytest.approx(np.abs(y[12:] - y[:-12]).mean())}


def test_settings_of_a_forecast_alone_make_it_one(tmp_path: Path) -> None:
    _, sealed = opened(tmp_path, AIRLINE, target="passengers", horizon=6)
    assert sealed.task == "forecast"
    with pytest.raises(InputRefused, match="belong to a forecast, and this task is regression"):
        opened(tmp_path, AIRLINE, target="passengers", task="regression", horizon=6)


def test_the_last_horizon_of_every_series_is_sealed_with_what_nobody_knows_ahead(tmp_path: Path) -> None:
    table = stores()
    late = table[~((table.store == 2) & (table.date > "2024-04-20"))]  # one store closed nine days earlier
    h, _ = opened(tmp_path, late, target="sales", series="store,item", known="promo", horizon=7, time_column="date")
    holdout, train = (pd.read_parquet(h.run.data / f"{name}.parquet") for name in ("holdout", "train"))
    assert list(holdout.columns) == ["date", "store", "item", "promo"]
    assert set(train.columns) == set(table.columns)
    for (store, item), mine in late.groupby(["store", "item"]):
        sealed = holdout[(holdout.store == store) & (holdout.item == item)]
        assert sorted(pd.to_datetime(sealed.date)) == sorted(mine.date)[-7:]
    labels = pd.read_parquet(h.run.vault / "holdout_labels.parquet")
    assert list(labels.columns) == ["sales", "visitors"]


def test_what_is_sealed_comes_back_whole_when_the_holdout_is_opened(tmp_path: Path) -> None:
    table = stores(40)
    h, sealed = opened(tmp_path, table, target="sales", series="store,item", known="promo", horizon=4)
    from tools.predictions import write_predictions

    path = h.run.work / "predictions.parquet"
    write_predictions(path, h.vault.contract, np.zeros(sealed.rows_holdout))
    interval, looks = h.vault.score_holdout("zero", path)
    assert (interval.groups, looks) == (4, 1)
    h.vault.open()
    everything = pd.read_parquet(h.run.data / "all.parquet").assign(date=lambda t: pd.to_datetime(t.date))
    order = ["store", "item", "date"]
    pd.testing.assert_frame_equal(
        everything[table.columns].sort_values(order, ignore_index=True), table.sort_values(order, ignore_index=True), check_dtype=False
    )


def test_each_fold_is_a_horizon_that_learns_from_the_past_alone(tmp_path: Path) -> None:
    h, _ = opened(tmp_path, stores(), target="sales", series="store,item", known="promo", horizon=7, folds=3)
    problem = problem_of(h)
    forecast = problem.contract.forecast
    assert forecast is not None
    keys, steps = forecast.series_of(problem.X), forecast.steps_of(problem.X)
    assert problem.fold_ids == [0, 1, 2]
    for fold in problem.fold_ids:
        learn, check = fit_rows(problem.folds, fold, problem.contract), np.flatnonzero(problem.folds == fold)
        for key in np.unique(keys.astype(str)):
            ahead = np.sort(steps[check][keys[check] == key]) - steps[learn][keys[learn] == key].max()
            assert ahead.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_a_sliding_window_is_as_long_as_the_first_backtests_past(tmp_path: Path) -> None:
    h, _ = opened(tmp_path, AIRLINE, target="passengers", horizon=12, folds=4, window="sliding")
    forecast = h.vault.contract.forecast
    assert forecast is not None
    assert forecast.window_steps == 144 - 5 * 12


def test_gaps_and_rows_to_come_are_no_rows_to_score(tmp_path: Path) -> None:
    table = pd.read_csv(AIRLINE)
    table.loc[[10, 50, 51], "passengers"] = np.nan
    ahead = pd.DataFrame({"month": ["1961-01", "1961-02"], "passengers": [np.nan, np.nan]})
    h, sealed = opened(tmp_path, pd.concat([table, ahead]), target="passengers", horizon=12)
    assert (sealed.rows_without_target, sealed.rows_holdout) == (5, 12)
    assert sealed.forecast is not None
    assert "3 moments have no row or no target" in " ".join(sealed.forecast.notes)
    holdout = Workspace(h.run.data, h.run.work).table("holdout")
    assert holdout.month.tolist()[-1] == "1960-12"


def test_short_series_get_fewer_backtests_and_it_is_told(tmp_path: Path) -> None:
    _, sealed = opened(tmp_path, pd.read_csv(AIRLINE).head(50), target="passengers", horizon=12)
    assert sealed.folds == 2
    assert sealed.forecast is not None
    assert "2 backtests instead of 5" in " ".join(sealed.forecast.notes)


def test_several_backtests_leave_enough_to_learn_lags_from_before_the_first(tmp_path: Path) -> None:
    rows = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=50), "y": np.random.default_rng(0).normal(size=50)})
    _, sealed = opened(tmp_path, rows, target="y", task="forecast", horizon=7)
    assert sealed.folds == 4
    _, asked = opened(tmp_path, rows, target="y", task="forecast", horizon=7, folds=5)
    assert asked.folds == 5


def ragged() -> pd.DataFrame:
    """Series that begin late, end early, never move, or hold a single row."""
    days, y = pd.date_range("2024-01-01", periods=60), 100 + np.arange(60.0) + np.random.default_rng(0).normal(0, 2, 60)
    parts = {
        "early end": (days[:40], y[:40]),
        "flat": (days, np.full(60, 8.0)),
        "late": (days[-25:], y[-25:]),
        "later": (days[-10:], y[-10:]),
        "long": (days, y),
        "longer": (days, 2 * y),
        "one": (days[-1:], y[-1:]),
        "zero": (days, np.zeros(60)),
    }
    return pd.concat([pd.DataFrame({"day": when, "shop": shop, "y": values}) for shop, (when, values) in parts.items()])


def test_a_series_takes_part_where_it_has_a_past_and_is_left_out_where_it_never_has(tmp_path: Path) -> None:
    h, sealed = opened(tmp_path, ragged(), target="y", series="shop", horizon=7)
    problem, forecast = problem_of(h), h.vault.contract.forecast
    assert forecast is not None
    assert sealed.folds == 5
    told = " ".join(forecast.notes)
    assert "1 of 8 series have fewer than 9 steps" in told
    assert "the model will not know them: 'one'" in told
    assert "3 of 7 series are too short for all backtests" in told
    assert sealed.rows_holdout == 7 * 7
    keys, steps = forecast.series_of(problem.X), forecast.steps_of(problem.X)
    everywhere = {"flat", "long", "longer", "zero"}
    parts: dict[int, set[str]] = {0: set(), 1: {"early end"}, 2: {"early end"}, 3: {"early end", "late"}, 4: {"early end", "late"}}
    for part in problem.parts:
        learn, check = problem.scheme.rows(part)
        assert set(keys[check]) == everywhere | parts[part.fold]
        for key in set(keys[check]):
            assert steps[learn][keys[learn] == key].max() == steps[check][keys[check] == key].min() - 1
        # A series that came late is not learnt from before its moments are there.
        assert steps[learn].max() == steps[check][keys[check] == "long"].min() - 1


def test_series_that_never_move_do_not_outweigh_the_others(tmp_path: Path) -> None:
    h, _ = opened(tmp_path, ragged(), target="y", series="shop", horizon=7)
    assert h.vault.contract.forecast is not None
    scales = h.vault.contract.forecast.scales
    assert scales["flat"] == 8.0
    assert scales["zero"] == pytest.approx(np.median([scales[name] for name in ("early end", "late", "later", "long", "longer")]))
    assert scales_of(np.array(["a", "a"]), np.array([1, 2]), np.array([0.0, 0.0]), 1) == {"a": 1.0}


@pytest.mark.parametrize(
    "spelt",
    [
        lambda when: when.strftime("%d/%m/%Y"),
        lambda when: when.strftime("%m/%d/%Y"),
        lambda when: when.strftime("%Y%m").astype(int),
        lambda when: when.strftime("%Y%m%d").astype(int),
        lambda when: when.strftime("%YM%m"),
        lambda when: when.tz_localize("Europe/London").astype(str),
        lambda when: when.tz_localize("America/New_York").astype(str),
        lambda when: (when + pd.offsets.MonthEnd(0)).astype(str),
    ],
)
def test_months_are_the_same_however_they_are_written(tmp_path: Path, spelt: Callable[[pd.DatetimeIndex], pd.Index]) -> None:
    table = airline()
    when = spelt(pd.DatetimeIndex(table.month))
    h, sealed = opened(tmp_path, table.assign(month=when), target="passengers", task="forecast")
    problem = problem_of(h)
    forecast = problem.contract.forecast
    assert forecast is not None
    assert (forecast.frequency.name, forecast.horizon, forecast.season, sealed.folds, sealed.rows_holdout) == ("monthly", 12, 12, 5, 12)
    first = pd.Series(pd.date_range("1949-01-01", periods=144, freq="MS"))
    steps = forecast.steps_of(problem.X)
    assert pd.Series(forecast.frequency.dates(steps)).tolist() == first[:132].tolist()
    holdout = Workspace(h.run.data, h.run.work).table("holdout")
    assert forecast.steps_of(holdout).tolist() == list(range(steps[-1] + 1, steps[-1] + 13))
    assert next(column.kind for column in problem.schema.columns if column.name == "month") == "datetime"


def test_a_winter_goes_on_into_a_summer_whose_clocks_are_changed(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-08", periods=120, tz="Europe/Berlin")
    table = pd.DataFrame({"day": days.astype(str), "y": np.random.default_rng(0).normal(size=120)})
    h, _ = opened(tmp_path, table[:70], target="y", task="forecast", horizon=7)
    forecast = h.vault.contract.forecast
    assert forecast is not None
    assert np.diff(forecast.steps_of(table)).tolist() == [1] * 119


def airline() -> pd.DataFrame:
    return pd.read_csv(AIRLINE)


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        (pd.concat([airline(), airline().head(2)]), {}, r"4 rows share their moment .* such as 1949-01; .*name them with --series"),
        (airline().assign(month=lambda t: t.month.where(t.index != 3, "no month")), {}, "values that are no moment, such as 'no month'"),
        (airline().rename(columns={"month": "when"}).assign(when=range(144)), {}, "no column holds dates.*--time-column"),
        (airline().assign(other=lambda t: t.month), {"known": ""}, "several columns hold dates"),
        (airline(), {"known": "price"}, "--known column 'price' is not in the table"),
        (airline(), {"known": "month", "time_column": "month"}, "is the time column already"),
        (airline(), {"horizon": 100}, r"there are 144 steps for a horizon of 100; expected at least 202.*smaller --horizon"),
        (airline(), {"holdout": "0.3"}, "--holdout 0.3 is a share of rows, and a forecast seals the last horizon.*--horizon"),
        (airline(), {"group": "month"}, "--group does not go with a forecast"),
        (ragged().rename(columns={"day": "month", "y": "passengers"}), {"series": "shop", "horizon": 30},
         "half of the 8 series have 60 steps or fewer for a horizon of 30; expected at least 62.*leave short series out"),
        (airline().assign(month=[pd.Timestamp(f"{year}-01-01") + pd.Timedelta(seconds=s) for year in (1990, 2020) for s in range(72)]), {},
         r"144 rows span 946,684,872 steps \(every second\), gaps counted.*longer steps"),
        (airline().iloc[np.random.default_rng(0).permutation(144)[:30]], {}, "'month' is irregular"),
    ],
)  # fmt: skip
def test_what_cannot_be_forecast_is_refused_with_the_way_out(
    tmp_path: Path, table: pd.DataFrame, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(InputRefused, match=message):
        opened(tmp_path, table, target="passengers", task="forecast", **settings)


def test_a_role_cannot_make_something_else_of_it(tmp_path: Path) -> None:
    from tools.intake import fetch_data
    from tools.sealing import seal_holdout

    h = Hosting(tmp_path / "runs", AIRLINE, target="passengers", task="forecast")
    fetch_data(h.host)
    with pytest.raises(ToolRefused, match="the user fixed task='forecast'"):
        seal_holdout(h.host, task="regression")


def test_steps_to_end_are_counted_series_by_series() -> None:
    assert steps_to_end(np.array(["a", "b", "a"]), np.array([3, 9, 7])).tolist() == [4, 0, 0]
