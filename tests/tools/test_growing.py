"""A final model fitted on all rows of a table that only a sample of was in memory: which rows they are, and fits by pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from tests.hosting import Hosting
from tests.tools.conftest import Open
from tools.beyond import BEYOND_FILE, SAMPLE_FILE
from tools.deadline import Deadline, DeadlineReached
from tools.families import blocks, passes
from tools.families.blocks import Blocks, spilled
from tools.finishing import finish
from tools.intake import fetch_data
from tools.predictions import write_predictions
from tools.sealing import seal_holdout
from tools.training import train

Array = np.ndarray


def cut(tmp_path: Path, X: Array, y: Array, rows: int) -> Blocks:
    pieces = [(pd.DataFrame(X[start : start + rows]), y[start : start + rows]) for start in range(0, len(X), rows)]
    return spilled(tmp_path / "rows", pieces, lambda frame: frame.to_numpy(), Deadline())


@pytest.fixture
def table() -> Array:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(700, 5)) * [1, 2, 0.5, 1, 3] + [0, 4, 0, -1, 0]).astype(np.float32)


def test_rows_come_back_from_disk_in_any_stretch(tmp_path: Path, table: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 128)
    kept = cut(tmp_path, table, np.arange(700), 90)
    assert (len(kept), kept.width) == (700, 5)
    assert np.array_equal(kept.rows(85, 95), table[85:95])
    assert np.array_equal(kept.rows(690, 900), table[690:])
    assert np.array_equal(np.concatenate([X for X, _ in kept.stretches()]), table)
    assert [len(y) for _, y in kept.stretches()] == [128] * 5 + [60]
    with pytest.raises(DeadlineReached):
        next(kept.stretches(Deadline(0)))


def test_ridge_in_one_pass_is_ridge(tmp_path: Path, table: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 100)
    y = table @ [1.0, -2, 0, 3, 0.5] + np.random.default_rng(1).normal(size=700)
    whole = Ridge(alpha=10.0).fit(table.astype(np.float64), y)
    started = Ridge(alpha=10.0).fit(table[:80], y[:80])
    found = passes.ridge(started, cut(tmp_path, table, y, 90), Deadline())
    assert np.allclose(found.coef_, whole.coef_, atol=1e-6)
    assert np.isclose(found.intercept_, whole.intercept_, atol=1e-5)
    assert not np.allclose(found.coef_, started.coef_, atol=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weight", [None, "balanced"])
def test_logistic_regression_in_passes_has_the_same_optimum(tmp_path: Path, table: Array, classes: int, weight: str | None) -> None:
    rng = np.random.default_rng(2)
    said = table @ rng.normal(size=(5, classes)) + rng.gumbel(size=(700, classes))
    y = said.argmax(axis=1)
    whole = LogisticRegression(C=0.5, class_weight=weight, max_iter=500, tol=1e-6).fit(table.astype(np.float64), y)
    started = LogisticRegression(C=0.5, class_weight=weight).fit(table[:200], y[:200])
    weights = None if weight is None else 700 / (classes * np.bincount(y))
    found = passes.logistic(started, cut(tmp_path, table, y, 90), Deadline(), weights)
    assert np.abs(found.predict_proba(table) - whole.predict_proba(table)).max() < 0.005
    assert np.abs(started.predict_proba(table) - whole.predict_proba(table)).max() > 0.01


def test_members_are_fitted_on_all_rows_where_their_family_can(open_workspace: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    import joblib

    monkeypatch.setattr(blocks, "BLOCK_ROWS", 100)
    space = open_workspace("breast_cancer")
    rows = pd.read_parquet(space.data / "train.parquet")
    trained = train(["linear", "xgboost", "lightgbm", "tree"], time_s=120, per_family=1)
    names = {candidate.family: candidate.name for candidate in trained.candidates}
    sample, beyond = rows.iloc[::3], rows.drop(rows.index[::3])
    sample.to_parquet(space.data / "all.parquet", index=False)

    def predicted(family: str) -> Array:
        model = joblib.load(space.model / "pipeline.joblib")
        assert [member.candidate.name for member in model.members] == [names[family]]
        return np.asarray(model.predict_table(rows)[:, 1])

    malignant = (rows["diagnosis"] == "malignant").to_numpy()
    for family in ("linear", "xgboost", "lightgbm"):
        finish(names[family], time_s=60)
        alone = predicted(family)
        beyond.to_parquet(space.data / BEYOND_FILE, index=False)
        told = finish(names[family], time_s=600)
        assert (told.all_rows, told.grown, told.degraded) == (len(rows), [names[family]], [])
        grown = predicted(family)
        loss = [-np.log(np.where(malignant, p, 1 - p).clip(1e-6)).mean() for p in (alone, grown)]
        assert loss[1] < loss[0], f"{family} has learnt nothing from the rows beyond its sample"
        (space.data / BEYOND_FILE).unlink()
    beyond.to_parquet(space.data / BEYOND_FILE, index=False)
    told = finish(names["tree"], time_s=60)
    assert (told.all_rows, told.grown) == (len(rows), [])
    kept = f"{names['tree']} is fitted on a sample of {len(sample)} of {len(rows)} rows: tree takes its rows at once"
    assert [each.reason for each in told.degraded] == [kept]
    assert not [path.name for path in space.work.iterdir() if path.name.startswith(".growing-")]


def test_the_host_gives_the_rows_that_were_not_sampled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"at": np.arange(9_000), "x": rng.normal(size=9_000), "y": rng.choice(["rare", " usual"], 9_000, p=[0.05, 0.95])})
    table.loc[::50, "y"] = None
    table.to_csv(tmp_path / "t.csv", index=False)
    h = Hosting(tmp_path, tmp_path / "t.csv", target="y", sandbox={"kind": "bubblewrap", "memory_mb": 1})
    fetch_data(h.host)
    sealed = seal_holdout(h.host)
    assert sealed.rows_train + sealed.rows_holdout < 5_000
    assert (h.run.vault / SAMPLE_FILE).exists()
    holdout = pd.read_parquet(h.run.data / "holdout.parquet")
    write_predictions(h.run.work / "p.parquet", h.vault.contract, np.full((len(holdout), 2), 0.5))
    h.vault.score_holdout("dummy-1", h.run.work / "p.parquet")
    rows = h.vault.open()
    beyond, everything = pd.read_parquet(h.run.data / BEYOND_FILE), pd.read_parquet(h.run.data / "all.parquet")
    assert (rows, h.vault.beyond()) == (len(everything), len(beyond))
    assert list(beyond.columns) == list(everything.columns)
    assert sorted([*beyond["at"], *everything["at"]]) == [i for i in range(9_000) if i % 50]
    assert beyond["y"].tolist() == [table["y"][i].strip() for i in beyond["at"]]
    assert np.allclose(beyond["x"], table["x"][beyond["at"]])
