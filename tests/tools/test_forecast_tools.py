"""The tools of a run, one after another, on several series: from the baseline to the forecast of rows to come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.hosting import Hosting
from tests.tools.forecasting import opened, problem_of, stores
from tools.candidates import load_oof
from tools.ensembling import ensemble
from tools.evaluation import evaluate
from tools.explaining import explain
from tools.exporting import export_model
from tools.finishing import finish, predict_rows
from tools.learning_curve import learning_curve
from tools.preparation import prepare
from tools.slices import find_slices
from tools.spec import ToolRefused
from tools.training import train, train_baselines
from tools.tuning import tune
from tools.workspace import Workspace

HORIZON = 7


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hosting:
    h, _ = opened(tmp_path, stores(80), target="sales", series="store,item", known="promo", horizon=HORIZON, folds=4)
    monkeypatch.setenv("MLTEAM_DATA", str(h.run.data))
    monkeypatch.setenv("MLTEAM_WORK", str(h.run.work))
    return h


def rows_to_come(days: int) -> pd.DataFrame:
    """What a user has of the future: moments and what is known ahead, in an order of their own."""
    when = pd.date_range(stores(80).date.max() + pd.Timedelta(days=1), periods=days)
    parts = [pd.DataFrame({"item": i, "store": s, "date": when.astype(str), "promo": 1}) for s in (2, 1) for i in ("jam", "tea")]
    return pd.concat(parts).sample(frac=1, random_state=2, ignore_index=True)


def test_from_the_baseline_to_the_rows_to_come(run: Hosting, tmp_path: Path) -> None:
    problem = problem_of(run)
    prepared = prepare()
    assert (prepared.columns_used, prepared.dropped) == (5, [])
    with pytest.raises(ToolRefused, match="'date' says which moment of which series a row is"):
        prepare(name="other", drop=["date"])
    assert [c.family for c in train_baselines(time_s=60).candidates] == ["seasonal_naive"]
    trained = train(["lags_linear"], time_s=60, per_family=1)
    assert [c.name for c in trained.candidates] == ["lags_linear-1"]
    with pytest.raises(ToolRefused, match="no family 'lightgbm' for a forecast task"):
        train(["lags_linear", "lightgbm"], time_s=60)
    with pytest.raises(ToolRefused, match="seasonal_naive has nothing to tune"):
        tune("seasonal_naive", time_s=5)

    # The host's score is that of the kernel, in units of each series, and every fold is a forecast of what nobody fitted on.
    space = Workspace(run.run.data, run.run.work)
    found = run.vault.out_of_fold.score(run.run.work / "candidates" / "lags_linear-1" / "oof.parquet")
    assert found.score == pytest.approx(trained.candidates[0].score)
    assert len(found.fold_scores) == 4
    oof, forecast = load_oof(space, "lags_linear-1", problem), problem.contract.forecast
    assert forecast is not None
    by_hand = [
        abs(oof[i] - problem.y[i]) / forecast.scales[key] for i, key in enumerate(forecast.series_of(problem.X)) if problem.folds[i] >= 0
    ]
    assert found.score == pytest.approx(np.mean(by_hand))
    assert np.isnan(oof[problem.folds < 0]).all()

    blend = ensemble(time_s=20)
    assert blend.candidate.score <= found.score * 1.2
    assert find_slices("lags_linear-1", time_s=10).rows_tested > 0
    relied = explain("lags_linear-1", time_s=40)
    assert (relied.unseen, relied.examples, relied.effects, relied.degraded) == (True, [], [], [])
    measured = {each.column: each.importance for each in relied.reliance}
    # What the future is asked with; the visitors, whom nobody knows ahead, are the model's past.
    assert set(measured) == {"store, item", "date", "promo"}
    assert min(measured["promo"], measured["store, item"]) > 0.1
    with pytest.raises(ToolRefused, match="single rows of a forecast task are not taken apart"):
        explain("lags_linear-1", rows=[0])
    with pytest.raises(ToolRefused, match=r"series"):
        learning_curve("lags_linear-1", time_s=5)

    done = evaluate("lags_linear-1", time_s=60)
    assert [m.metric for m in done.metrics] == ["mase", "rmse", "mae", "mape", "smape", "wape", "median_ae"]
    assert all(m.low <= m.score <= m.high for m in done.metrics)
    assert done.plots[0] == "plots/lags_linear-1-forecast.png"
    interval, looks = run.vault.score_holdout("lags_linear-1", run.run.work / done.predictions)
    assert (interval.n, interval.groups, looks) == (4 * HORIZON, 4, 1)
    assert run.vault.scored().units is not None

    run.vault.open()
    assert finish("lags_linear-1", time_s=60).rows == 320
    formats = export_model(each_s=140).formats
    assert formats["skops"].startswith(f"equal to the pipeline within 0.0001 on {4 * HORIZON} rows")
    assert formats["onnx"].startswith("not made: predictions of a forecast task are made in steps")
    ahead, predictions = rows_to_come(HORIZON), tmp_path / "predictions.csv"
    ahead.to_csv(tmp_path / "rows.csv", index=False)
    assert predict_rows(str(run.run.work / "model"), str(tmp_path / "rows.csv"), str(predictions)).rows == 4 * HORIZON
    found = ahead.assign(prediction=pd.read_csv(predictions).prediction)
    # Promotion days of the larger stores sell more: a row got the forecast of its own series.
    means = found.groupby(["store", "item"]).prediction.mean()
    assert means.loc[(1, "tea")] < means.loc[(1, "jam")] < means.loc[(2, "tea")] < means.loc[(2, "jam")]

    rows_to_come(HORIZON + 2).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ToolRefused, match=r"made and measured for 7\. .* --horizon 9"):
        predict_rows(str(run.run.work / "model"), str(tmp_path / "rows.csv"), str(predictions))
    ahead.assign(item="milk").to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ToolRefused, match=r"was not among the training rows.* series: 1 \| jam.* Leave such rows out \(28 of 28\)"):
        predict_rows(str(run.run.work / "model"), str(tmp_path / "rows.csv"), str(predictions))


def test_a_module_gets_no_column_that_nobody_knows_ahead(run: Hosting) -> None:
    from tools.modelcode import fit_code

    problem = problem_of(run)
    code = (
        "from sklearn.base import BaseEstimator\n\n\nclass Names(BaseEstimator):\n    def fit(self, X, y):\n"
        "        assert 'visitors' not in X and 'promo' in X\n        return self\n\n"
        "    def predict(self, X):\n        return X['promo'].to_numpy()\n\n\ndef make_model():\n    return Names()\n"
    )
    seen = problem.ahead(problem.X)
    assert fit_code(code, seen, problem.y, 0).predict(seen).shape == (problem.n_rows,)
