"""The step of a time axis: found, named, counted in, and missed where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tools.timeline import Irregular, infer_frequency


def of(when: pd.Series | pd.DatetimeIndex, series: list[str] | None = None):  # type: ignore[no-untyped-def]  # what the function gives
    values = pd.Series(when)
    return infer_frequency(values, np.array(series or ["a"] * len(values)))


@pytest.mark.parametrize(
    ("freq", "name", "season", "horizon"),
    [
        ("MS", "monthly", 12, 12),
        ("ME", "monthly", 12, 12),
        ("QS", "quarterly", 4, 4),
        ("YS", "yearly", 1, 6),
        ("W", "weekly", 52, 13),
        ("D", "daily", 7, 28),
        ("B", "business-daily", 5, 20),
        ("h", "hourly", 24, 24),
        ("30min", "every 30 minutes", 48, 48),
        ("min", "every minute", 60, 60),
        ("2D", "every 2 days", 1, 6),
    ],
)
def test_usual_frequencies_are_found_with_their_season(freq: str, name: str, season: int, horizon: int) -> None:
    when = pd.Series(pd.date_range("2020-02-28", periods=60, freq=freq))
    found = of(when)
    assert (found.name, found.season, found.horizon) == (name, season, horizon)
    assert np.diff(found.steps(when)).tolist() == [1] * 59
    again = pd.Series(found.moments(found.steps(when)))
    assert found.steps(again).tolist() == found.steps(when).tolist()
    assert again.eq(when).all() or (found.unit == "month" and again.dt.day.eq(1).all())


def test_gaps_are_counted_and_do_not_hide_the_frequency() -> None:
    when = pd.Series(pd.date_range("2020-01-31", periods=40, freq="ME")).drop([3, 4, 20]).reset_index(drop=True)
    found = of(when)
    assert found.name == "monthly"
    assert found.steps(when)[[0, -1]].tolist() == (found.steps(when)[0] + np.array([0, 39])).tolist()


def test_series_are_not_neighbours_of_each_other() -> None:
    days = pd.date_range("2024-01-01", periods=10, freq="D")
    assert of(pd.Series([*days, *days]), ["a"] * 10 + ["b"] * 10).name == "daily"


def test_numbers_are_steps_too() -> None:
    years = pd.Series(np.arange(1700.0, 1750.0, 5.0))
    found = of(years)
    assert found.name == "in steps of 5"
    assert found.steps(years).tolist() == list(range(10))
    assert found.moments(np.array([0, 11])).tolist() == [1700.0, 1755.0]


def test_moments_without_a_step_are_refused_by_name() -> None:
    rng = np.random.default_rng(0)
    scattered = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 10**6, 50)), unit="s"))
    with pytest.raises(Irregular, match="different distances apart"):
        of(scattered)
    nearly = pd.Series(pd.date_range("2024-01-01", periods=30, freq="h"))
    nearly[7] += pd.Timedelta(minutes=10)
    with pytest.raises(Irregular, match=r"not on the hourly grid; the first is 2024-01-01 07:10:00"):
        of(nearly)
    with pytest.raises(Irregular, match="no series has two moments"):
        of(nearly[:1])
