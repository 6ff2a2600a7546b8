"""Forecasts by families that know rows: what was known at a moment, and how far ahead the answer lies, become the columns of a row.

One model is learnt over all series and all steps of the horizon at once, directly: the value `h` steps after an origin from what was
known at the origin. Nothing that was predicted is fed back, so errors do not add up, past covariates are needed only where they are
known, and one table serves every step (Taieb et al. 2012 compare the strategies). Values are counted relative to their level at the
origin, so that trees, which cannot leave the range they have seen, follow a trend, and series of different size learn from each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Column
from tools.families.base import Family
from tools.families.fitted import Fitted, Raw
from tools.families.forecasting import Forecaster, ahead_of
from tools.families.setting import Array, FitContext, Params, Setting
from tools.forecast import FEWEST_PAIRS
from tools.panel import Panel

if TYPE_CHECKING:
    import optuna
    import pandas as pd

MOST_PAIRS = 40_000
"""Pairs of an origin and a step ahead that a fit is shown; more are drawn from."""
RECENT = 7
SEASONS = 3
FEW_ITERATIONS = 60
"""Of a booster, where the series are too short to hold some of their end back for early stopping."""
RATIO, DIFFERENCE = "ratio", "difference"


@dataclass
class Lags:
    """Makes rows of pairs: the columns that they get, and the values that they are counted relative to."""

    panel: Panel
    columns: list[Column]
    """Columns of the table that go along as they are at the moment that is forecast: names of series, known covariates."""
    scale: str
    """`ratio`: values over their level at the origin. `difference`: their distance from it, in standard deviations."""

    @property
    def width(self) -> int:
        season = self.panel.forecast.season
        return season if season > 1 else RECENT - 1

    def table(self, rows: pd.DataFrame, codes: Array, origins: Array, ahead: Array) -> tuple[pd.DataFrame, Array, Array]:
        """The columns of each pair, and the level and unit that its values are counted in: value = level + unit * column.

        The unit is 0 of a series that has never moved up to the origin, or of ratios never left 0: there is nothing to count in.

        Args:
            rows: the table's rows at the moments that are forecast, one a pair.
            codes: series of each pair, shape (n,).
            origins: last step that is known, shape (n,).
            ahead: steps from there to the moment, 1 or more, shape (n,).
        """
        import pandas as pd

        panel, season, width = self.panel, self.panel.forecast.season, self.width
        level, counted = self._counted(codes, origins)
        unit, moments = np.where(counted > 0, counted, 1.0), origins + ahead

        def value(steps: Array) -> Array:
            return (panel.at(codes, steps, until=origins) - level) / unit

        found: dict[str, Any] = {"steps ahead": ahead.astype(np.float64)}
        for lag in range(RECENT):
            found[f"value {lag} before"] = value(origins - lag)
        if season > 1:
            same = moments - season * -(-ahead // season)
            for back in range(SEASONS):
                found[f"same season {back + 1} back"] = value(same - back * season)
            found["before the same season"], found["after the same season"] = value(same - 1), value(same + 1)
            found["place in the season"] = (moments % season).astype(np.float64)
        for name, size in (("short", 3), ("season", width), ("long", 3 * width)):
            mean, spread, _ = panel.window(codes, origins, size)
            found[f"mean, {name}"], found[f"spread, {name}"] = (mean - level) / unit, spread / unit
        before, _, _ = panel.window(codes, origins - width, width)
        found["mean, a season before"] = (before - level) / unit
        for name, values in panel.past.items():
            found[f"{name}, last"] = panel.at(codes, origins, until=origins, column=name)
            if values.dtype.kind == "f":
                found[f"{name}, mean"] = panel.window(codes, origins, width, column=name)[0]
        found |= self._calendar(moments)
        found |= {column.name: rows[column.name].to_numpy() for column in self.columns}
        return pd.DataFrame(found), level, counted

    def described(self, table: pd.DataFrame) -> list[Column]:
        """The columns of such a table as a family wants to know them."""
        known = {column.name: column for column in self.columns}
        return [
            known.get(str(name))
            or Column(
                name=str(name),
                kind="numeric" if values.dtype.kind == "f" else "categorical",
                missing=float(values.isna().mean()),
                unique=int(values.nunique()),
            )
            for name, values in table.items()
        ]

    def _counted(self, codes: Array, origins: Array) -> tuple[Array, Array]:
        level, spread, _ = self.panel.window(codes, origins, self.width)
        ever, ever_spread, _ = self.panel.window(codes, origins, None)
        level = np.where(np.isfinite(level), level, ever)
        if self.scale == RATIO:
            return np.zeros_like(level), np.maximum(level, 0.05 * ever)
        return level, np.fmax(spread, 0.1 * ever_spread)

    def _calendar(self, steps: Array) -> dict[str, Array]:
        import pandas as pd

        frequency = self.panel.forecast.frequency
        if frequency.unit == "number":
            return {}
        when = pd.DatetimeIndex(frequency.dates(steps))
        found: dict[str, Any] = {"month": when.month}
        if frequency.unit != "month":
            found |= {"weekday": when.day_of_week, "day": when.day, "week": when.isocalendar().week}
        if frequency.unit == "second" and frequency.size < 86_400:
            found["hour"] = when.hour
        return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


@dataclass
class LagModel:
    """A fitted model of pairs, which forecasts from the end of its panel."""

    lags: Lags
    fitted: Fitted

    def predict(self, X: pd.DataFrame) -> Array:
        panel = self.lags.panel
        codes, steps = panel.locate(X)
        ahead = ahead_of(panel, codes, steps)
        table, level, unit = self.lags.table(X, codes, panel.ends[codes], ahead)
        found: Array = level + unit * self.fitted.predict(table)
        return found


class Lagged(Forecaster):
    """A family that knows rows, taught to forecast."""

    def __init__(self, name: str, inner: Family, weight: float) -> None:
        self.name, self._inner, self.weight = name, inner, weight
        self.iterative, self.bags = inner.iterative, inner.bags

    def default(self, setting: Setting) -> list[Params]:
        inner = self._inner.default(self._rows(setting))
        scales = [RATIO, DIFFERENCE] if setting.target_min >= 0 else [DIFFERENCE]
        firsts = [{**inner[0], "scale": scale} for scale in scales]
        return firsts + [{**params, "scale": scales[0]} for params in inner[1:]]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        scales = [RATIO, DIFFERENCE] if setting.target_min >= 0 else [DIFFERENCE]
        return {**self._inner.space(trial, self._rows(setting)), "scale": trial.suggest_categorical("scale", scales)}

    def paced(self, params: Params, pace: float, seconds: float, setting: Setting) -> Params:
        inner = {name: value for name, value in params.items() if name != "scale"}
        # A fit is made twice: once to find how many iterations serve, once with the latest rows as well.
        return {**self._inner.paced(inner, pace, 0.45 * seconds, self._rows(setting)), "scale": params["scale"]}

    def memory_mb(self, rows: int, setting: Setting) -> float:
        return self._inner.memory_mb(min(MOST_PAIRS, rows * (setting.forecast.horizon if setting.forecast else 1)), self._rows(setting))

    def _rows(self, setting: Setting) -> Setting:
        """The problem as the inner family sees it: that many pairs, and no forecast."""
        pairs = min(MOST_PAIRS, setting.n_rows * (setting.forecast.horizon if setting.forecast else 1))
        metric = "mae" if setting.absolute_loss else "rmse"
        # What the target is like says nothing of values that are counted from their level: no logarithm is taken of them.
        return replace(setting, n_rows=pairs, metric=metric, forecast=None, target_min=-np.inf, target_skew=0.0)

    def _learn(self, panel: Panel, params: Params, setting: Setting, context: FitContext, X: pd.DataFrame, y: Array) -> Raw:
        assert setting.forecast is not None
        taken = [c for c in setting.columns if c.name in (*setting.forecast.series, *setting.forecast.known)]
        lags = Lags(panel, taken, str(params.pop("scale")))
        rows, codes, origins, ahead = _pairs(panel, X, lags.width, np.random.default_rng(context.seed))
        table, level, unit = lags.table(X.iloc[rows], codes, origins, ahead)
        moved = np.flatnonzero(unit > 0)
        if len(moved) < FEWEST_PAIRS:
            raise ValueError(f"the series give {len(moved)} pairs of a moment and a later one; at least {FEWEST_PAIRS} are needed")
        table, z = table.iloc[moved].reset_index(drop=True), (y[rows] - level)[moved] / unit[moved]
        inner = replace(self._rows(setting), columns=lags.described(table), n_rows=len(z))
        held = (origins + ahead > panel.ends[codes] - setting.forecast.horizon)[moved]
        cut_short = starved = False
        if self.iterative and context.iterations is None:
            if held.sum() < FEWEST_PAIRS / 2 or (~held).sum() < FEWEST_PAIRS:
                context = replace(context, iterations=FEW_ITERATIONS)
            else:
                first = replace(context, deadline=context.deadline.share(0.45 * context.deadline.remaining()))
                probe = self._inner.fit(
                    table[~held].reset_index(drop=True), z[~held], table[held].reset_index(drop=True), z[held], params, inner, first
                )
                cut_short, starved = probe.cut_short, probe.starved
                context = replace(context, iterations=max(1, probe.iterations or 1))
        fitted = self._inner.fit(table, z, None, None, params, inner, context)
        return Raw(
            LagModel(lags, fitted),
            iterations=fitted.iterations,
            cut_short=cut_short or fitted.cut_short,
            starved=starved or fitted.starved,
            importance=fitted.importance,
            pace=fitted.pace,
        )


def _pairs(panel: Panel, X: pd.DataFrame, width: int, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Rows of the table with the steps that they are seen ahead, as positions of rows, series, origins and steps ahead.

    Every row is seen from each origin of the horizon that knows a season, or half of a series that has little more.
    """
    codes, steps = panel.locate(X)
    inside = np.flatnonzero(steps >= panel.starts[codes])
    horizon = panel.forecast.horizon
    every = len(inside) * horizon
    # Before anything is made of them: a long horizon makes many of few rows.
    some = np.arange(every) if every <= 4 * MOST_PAIRS else np.sort(rng.choice(every, 4 * MOST_PAIRS, replace=False))
    rows, ahead = inside[some // horizon], some % horizon + 1
    codes, origins = codes[rows], steps[rows] - ahead
    known = panel.window(codes, origins, None)[2]
    usable = np.flatnonzero(known >= np.minimum(width, np.maximum(1, panel.lengths[codes] // 2)))
    if len(usable) > MOST_PAIRS:
        usable = np.sort(rng.choice(usable, MOST_PAIRS, replace=False))
    return rows[usable], codes[usable], origins[usable], ahead[usable]


def _families() -> dict[str, Family]:
    from tools.families.catboost import FAMILIES as CATBOOST
    from tools.families.lightgbm import FAMILIES as LIGHTGBM
    from tools.families.linear import FAMILIES as LINEAR

    inner = {**LINEAR, **LIGHTGBM, **CATBOOST}
    weights = {"linear": 0.4, "lightgbm": 1.6, "catboost": 1.6}
    return {f"lags_{name}": Lagged(f"lags_{name}", inner[name], weight) for name, weight in weights.items()}


FAMILIES = _families()
