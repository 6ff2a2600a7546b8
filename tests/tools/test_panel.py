"""Series on a grid, against the plain way of computing the same; and that nothing beyond the known moment comes out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tools.forecast import Forecast
from tools.panel import Panel
from tools.tables import TableError
from tools.timeline import Frequency


def made(window_steps: int | None = None) -> tuple[Panel, pd.DataFrame]:
    rng = np.random.default_rng(3)
    parts = [
        pd.DataFrame({"who": who, "day": np.arange(first, first + n)}) for who, first, n in (("b", 5, 30), ("a", 0, 20), ("c|d", 9, 1))
    ]
    rows = pd.concat(parts).sample(frac=0.8, random_state=0, ignore_index=True)
    rows["value"], rows["seen"] = rng.normal(100, 5, len(rows)), rng.normal(size=len(rows))
    forecast = Forecast(
        time="day",
        series=["who"],
        horizon=3,
        frequency=Frequency(unit="number", size=1),
        season=4,
        past=["seen"],
        window_steps=window_steps,
        scales={},
    )
    return Panel.of(rows, rows["value"].to_numpy(), forecast), rows


def asked(panel: Panel, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    codes = rng.integers(len(panel.keys), size=200)
    until = rng.integers(-2, 40, size=200)
    return codes, until - rng.integers(-3, 12, size=200), until


@pytest.mark.parametrize("column", [None, "seen"])
def test_values_and_windows_are_those_of_the_rows_known_by_then(column: str | None) -> None:
    panel, rows = made()
    codes, steps, until = asked(panel, rows)
    name = column or "value"
    found, (mean, spread, count) = panel.at(codes, steps, until, column), panel.window(codes, until, 6, column)
    for i in range(len(codes)):
        known = rows[(rows.who == panel.keys[codes[i]].replace("||", "|")) & (rows.day <= until[i])]
        there = known[known.day == steps[i]][name].to_numpy()
        assert np.array_equal(found[[i]], there) if len(there) else np.isnan(found[i])
        inside = known[known.day > until[i] - 6][name].to_numpy()
        assert count[i] == len(inside)
        if len(inside):
            assert mean[i] == pytest.approx(inside.mean())
            assert spread[i] == pytest.approx(inside.std(), abs=1e-6)
        else:
            assert np.isnan(mean[i])


def test_rounding_does_not_move_what_never_moved() -> None:
    """Beside a series of millions, one that is constant has no spread, and a stretch of zeros the mean 0."""
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(5e6, 1e6, 400), np.full(300, 0.1), np.zeros(200), rng.normal(3, 0.1, 100)])
    rows = pd.DataFrame({"who": np.repeat(["a", "b", "c"], [400, 300, 300]), "day": np.r_[0:400, 0:300, 0:300]})
    forecast = Forecast(time="day", series=["who"], horizon=3, frequency=Frequency(unit="number", size=1), season=4, scales={})
    panel = Panel.of(rows, y, forecast)
    steps = np.arange(200)
    for width in (4, None):
        mean, spread, _ = panel.window(np.full(200, 1), steps, width)
        assert mean == pytest.approx(0.1)
        assert not spread.any()
        mean, spread, _ = panel.window(np.full(200, 2), steps, width)
        assert not mean.any()
        assert not spread.any()
    mean, spread, _ = panel.window(np.full(100, 2), np.arange(200, 300), 10)
    assert spread[20:] == pytest.approx([y[700 + at - 9 : 700 + at + 1].std() for at in range(220, 300)])


def test_a_window_leaves_older_steps_out() -> None:
    panel, rows = made(window_steps=7)
    last = rows.groupby(rows.who.str.replace("|", "||", regex=False)).day.max()
    assert panel.ends.tolist() == last[panel.keys].tolist()
    assert (panel.lengths <= 7).all()


def test_gaps_are_filled_by_straight_lines() -> None:
    panel, rows = made()
    mine = rows[rows.who == "b"].sort_values("day")
    expected = np.interp(np.arange(mine.day.min(), mine.day.max() + 1), mine.day, mine.value)
    assert panel.filled(panel.keys.index("b")) == pytest.approx(expected)


def test_a_series_that_is_not_there_is_refused_by_name() -> None:
    panel, _ = made()
    with pytest.raises(TableError, match=r"'e' of row 2 was not among the training rows.*: a, b, c\|\|d\. Leave .* \(1 of 2\)"):
        panel.locate(pd.DataFrame({"who": ["a", "e"], "day": [50, 50]}))
