"""Settle a forecast from the rows and the wish: frequency, season, horizon, covariates, backtests; refuse what cannot be one."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.forecast import Forecast, Window, seasonal_naive_error, steps_to_end
from tools.spec import InputRefused
from tools.timeline import Frequency, Irregular, infer_frequency

if TYPE_CHECKING:
    import pandas as pd

    from tools.host import Wish

Array = np.ndarray[Any, np.dtype[Any]]

LEAST_HISTORY = 2
"""Steps that every series must have before its first backtest."""
BACKTESTS = 5
"""As many as there are where nobody says and the series have room."""
MOST_SERIES = 20_000
LONGEST_SHARE = 6
"""An inferred horizon takes at most this part of the shortest series."""


@dataclass(frozen=True)
class Foresight:
    """A forecast and what its backtests are."""

    forecast: Forecast
    folds: int


def plan_forecast(rows: pd.DataFrame, target: str, wish: Wish, column: str | None) -> Foresight:
    """Settle the forecast.

    Args:
        rows: the table without rows whose target is missing.
        column: time column that a role named, where the user has named none.

    Raises:
        InputRefused: when a column is missing or serves two purposes, moments are doubled, irregular or no moments, or a series is too
            short for the horizon and a backtest.
    """
    _check_names(rows, target, wish)
    notes: list[str] = []
    time = wish.time_column or column or _time_column(rows, target, wish, notes)
    covariates = [str(name) for name in rows.columns if str(name) not in (target, time, *wish.series)]
    past = [name for name in covariates if name not in wish.known]
    bare = Forecast(time=time, day_first=_day_first(rows[time]), series=list(wish.series), horizon=1,
                    frequency=Frequency(unit="number", size=1), season=1, scales={})  # fmt: skip
    series = bare.series_of(rows)
    frequency = _frequency(rows, bare, series)
    steps = bare.model_copy(update={"frequency": frequency}).steps_of(rows)
    _check_doubles(rows, bare, series, steps)
    notes += [f"The series advance {frequency.name}.", *_gaps(series, steps)]
    lengths = 1 + steps_to_end(series, steps)  # of a series' first row: its length in steps
    shortest = _shortest(series, lengths)
    horizon = wish.horizon or _horizon(frequency, shortest[1], notes)
    folds = _folds(series, lengths, horizon, wish, frequency.season, notes)
    cut = shortest[1] - (folds + 1) * horizon
    season = frequency.season if np.median(_lengths(series, lengths)) - horizon >= 2 * frequency.season else 1
    window: Window = wish.window or "expanding"
    if past:
        notes.append(f"Known only up to the forecast: {', '.join(map(repr, past[:10]))}; name those that are known ahead with --known.")
    kept = steps_to_end(series, steps) >= horizon
    y = rows[target].to_numpy(dtype=np.float64)
    order = np.argsort(series[kept].astype(str), kind="stable")
    names, starts = np.unique(series[kept][order].astype(str), return_index=True)
    parts = np.split(order, starts[1:])
    scales = {str(name): seasonal_naive_error(steps[kept][part], y[kept][part], season) for name, part in zip(names, parts, strict=True)}
    if window == "sliding":
        notes.append(f"Every fit learns from the latest {cut} steps, as many as the first backtest has.")
    forecast = Forecast(
        time=time,
        day_first=bare.day_first,
        series=bare.series,
        horizon=horizon,
        frequency=frequency,
        season=season,
        known=[name for name in covariates if name in wish.known],
        past=past,
        window=window,
        window_steps=cut if window == "sliding" else None,
        scales=scales,
        notes=notes,
    )
    return Foresight(forecast, folds)


def _check_names(rows: pd.DataFrame, target: str, wish: Wish) -> None:
    names = [str(name) for name in rows.columns]
    for what, wanted in (("--series", wish.series), ("--known", wish.known)):
        for name in wanted:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
                hint = f"Nearest: {', '.join(near)}." if near else f"Columns: {', '.join(names[:30])}."
                raise InputRefused(f"{what} column {name!r} is not in the table. {hint}")
            if name == target or name == wish.time_column:
                raise InputRefused(f"{what} names {name!r}, which is the {'target' if name == target else 'time column'} already.")
    if both := [name for name in wish.series if name in wish.known]:
        raise InputRefused(f"{both[0]!r} is in --series and in --known; what names a series is known anyway: leave it out of --known.")
    if wish.group:
        raise InputRefused("--group does not go with a forecast, whose split is by time; name the columns of a series with --series.")


def _time_column(rows: pd.DataFrame, target: str, wish: Wish, notes: list[str]) -> str:
    from tools.columns import infer_schema

    found = [name for name in infer_schema(rows, target).of_kind("datetime") if name not in (*wish.series, *wish.known)]
    if len(found) != 1:
        told = f"several columns hold dates ({', '.join(map(repr, found[:10]))})" if found else "no column holds dates"
        raise InputRefused(f"a forecast needs the column of its moments, and {told}. Name it with --time-column.")
    notes.append(f"{found[0]!r} alone holds dates, so it is the time column.")
    return found[0]


def _day_first(values: pd.Series) -> bool:
    from tools.columns import days_come_first

    return days_come_first(values.dropna().astype(str) if values.dtype == object else values)


def _frequency(rows: pd.DataFrame, bare: Forecast, series: Array) -> Frequency:
    from tools.columns import moments

    when = moments(rows[bare.time], bare.day_first)
    if when.isna().any():
        first = rows[bare.time][when.isna()].iloc[0]
        raise InputRefused(
            f"time column {bare.time!r} has {int(when.isna().sum())} values that are no moment, such as {first!r}; clean it,"
            " or name another --time-column."
        )
    if len(np.unique(series.astype(str))) > MOST_SERIES:
        raise InputRefused(f"--series gives more than {MOST_SERIES:,} series; forecast a part of them at a time.")
    try:
        return infer_frequency(when, series.astype(str))
    except Irregular as error:
        hint = "" if bare.series else " If the table holds several series, name their columns with --series."
        raise InputRefused(
            f"time column {bare.time!r} is irregular: {error}. Sum or average the rows to regular moments, such as days.{hint}"
        ) from None


def _check_doubles(rows: pd.DataFrame, bare: Forecast, series: Array, steps: Array) -> None:
    import pandas as pd

    doubled = pd.DataFrame({"series": series, "step": steps}).duplicated(keep=False).to_numpy()
    if doubled.any():
        first = rows[doubled].iloc[0]
        whose = f" of series {series[doubled][0]!r}" if bare.series else ""
        hint = "sum or average them" + ("" if bare.series else ", or, if the table holds several series, name them with --series")
        raise InputRefused(
            f"{int(doubled.sum())} rows share their moment with another row of the same series, such as {first[bare.time]}{whose};"
            f" expected one row a moment: {hint}."
        )


def _gaps(series: Array, steps: Array) -> list[str]:
    rows, lengths = _counts(series), _lengths(series, 1 + steps_to_end(series, steps))
    missing = lengths - rows
    if not missing.any():
        return []
    whose = f" in {int((missing > 0).sum())} of {len(rows)} series" if len(rows) > 1 else ""
    return [f"{int(missing.sum()):,} moments{whose} have no row or no target; they count as missing and are not scored."]


def _counts(series: Array) -> Array:
    return np.unique(series.astype(str), return_counts=True)[1]


def _lengths(series: Array, lengths: Array) -> Array:
    """Steps of each series, in the order of its sorted keys."""
    names, places = np.unique(series.astype(str), return_inverse=True)
    found = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(found, places, lengths)
    return found


def _shortest(series: Array, lengths: Array) -> tuple[str, int]:
    found = _lengths(series, lengths)
    return str(np.unique(series.astype(str))[found.argmin()]), int(found.min())


def _horizon(frequency: Frequency, shortest: int, notes: list[str]) -> int:
    horizon = max(1, min(frequency.horizon, shortest // LONGEST_SHARE))
    notes.append(f"No horizon was named: {horizon} step{'s' * (horizon > 1)} ahead, as {frequency.name} series of this length allow.")
    return horizon


def _folds(series: Array, lengths: Array, horizon: int, wish: Wish, season: int, notes: list[str]) -> int:
    """As many backtests as were asked for, or as the shortest series has room for, with a season before them where that is possible."""
    name, shortest = _shortest(series, lengths)
    room = [(shortest - least) // horizon - 1 for least in (max(season + 1, horizon), LEAST_HISTORY)]
    folds = next((count for count in room if count >= 1), 0)
    if folds < 1:
        whose = f"series {name!r} has" if name else "there are"
        raise InputRefused(
            f"{whose} {shortest} steps for a horizon of {horizon}; expected at least {2 * horizon + LEAST_HISTORY}: one horizon sealed,"
            f" one for a backtest, {LEAST_HISTORY} to learn from. Use a smaller --horizon{', or leave such series out' if name else ''}."
        )
    if room[0] < 1:
        folds = 1
    wanted = wish.folds or BACKTESTS
    if folds < wanted:
        whose = f"series {name!r}" if name else "the series"
        notes.append(f"{folds} backtest{'s' * (folds > 1)} instead of {wanted}: {whose} has {shortest} steps.")
    return min(folds, wanted)
