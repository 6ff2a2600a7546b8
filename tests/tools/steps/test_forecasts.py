"""Steps of a preparation under a forecast: what fills gaps along a series' own time may be used, what would move moments may not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.hosting import Hosting
from tests.tools.forecasting import opened, problem_of, stores
from tools.preparation import load_preparation, prepare
from tools.spec import ToolRefused
from tools.training import train
from tools.workspace import Workspace


def opened_forecast(tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Hosting:
    h, _ = opened(tmp_path, frame, target="sales", series="store,item", known="promo", horizon=7, folds=3)
    monkeypatch.setenv("MLTEAM_DATA", str(h.run.data))
    monkeypatch.setenv("MLTEAM_WORK", str(h.run.work))
    return h


def test_gaps_of_a_series_are_filled_along_its_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = stores(80).drop(columns="visitors")
    frame["promo"] = frame["promo"].astype(float).where(np.arange(len(frame)) % 9 != 0)
    h = opened_forecast(tmp_path, frame, monkeypatch)
    assert prepare("made", steps=["impute=interpolate"]).steps == ["impute=interpolate:date,store,item"]
    preparation = load_preparation(Workspace(h.run.data, h.run.work), "made", problem_of(h))
    assert [column.missing for column in preparation.made if column.name == "promo"] == [0.0]
    trained = train(["lags_linear"], preparation="made", time_s=300, per_family=1)
    assert [candidate.name for candidate in trained.candidates] == ["lags_linear-made-1"]
    clipped = prepare("clipped", steps=["outliers=clip", "impute=simple"])
    assert clipped.steps == ["outliers=clip:promo", "impute=simple:promo"], "moments and series are no numbers to be changed"
    for step in ("make=dates", "outliers=drop", "scale=power", "resample=over"):
        with pytest.raises(ToolRefused, match="would not leave the moments of series as they are"):
            prepare("other", steps=[step])


def test_what_nobody_knows_ahead_cannot_be_filled_by_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened_forecast(tmp_path, stores(80), monkeypatch)
    with pytest.raises(ToolRefused, match="'visitors' of the moments to come, which nobody knows ahead"):
        prepare("made", steps=["impute=simple"])
