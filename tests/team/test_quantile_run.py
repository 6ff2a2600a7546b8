"""A whole run that predicts quantiles: from a table of numbers to a median and its quantiles for new rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from team.after_the_look import other_scores
from team.api import load_run
from team.errors import UsageError
from team.predict import predict
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings
from team.vault import Vault
from tests.tools.conftest import diabetes

pytestmark = pytest.mark.slow

COLUMNS = ["q_0.1", "q_0.5", "q_0.8"]


def test_it_ends_with_a_model_that_says_how_sure_it_is(tmp_path: Path) -> None:
    table, new = diabetes().iloc[:360], diabetes().iloc[360:]
    source, rows = tmp_path / "patients.csv", tmp_path / "new.csv"
    table.to_csv(source, index=False)
    new.drop(columns=["progression"]).to_csv(rows, index=False)
    given = {
        "source": str(source),
        "target": "progression",
        "quantiles": "0.8,0.1",
        "out": tmp_path,
        "time": "300s",
        "trials": 1,
        "folds": 3,
        "families": "linear,lightgbm",
        "sandbox": {"kind": "unsafe-local", "cpus": 1},
    }
    summary = start(load_settings(given))
    assert (summary["status"], summary["task"], summary["metric"], summary["fallbacks"]) == ("done", "quantile", "pinball", [])
    assert summary["quantiles"] == [0.1, 0.5, 0.8]
    holdout, run = summary["holdout"], RunDir(Path(summary["run"]))
    assert holdout["score"] < 0.85 * summary["baseline"]["score"]
    assert holdout["low"] < holdout["score"] < holdout["high"]
    (outermost,) = holdout["intervals"]
    assert (outermost["level"], outermost["n"]) == (0.7, 72)
    assert outermost["share"] == pytest.approx(0.7, abs=0.2)
    scores, ends = other_scores(Vault(run))
    assert set(scores) == set(ends) == {"crps", "mae"}
    assert all(low < scores[name] < high for name, (low, high) in ends.items())
    predict(run, rows, tmp_path / "told.csv", sandbox="unsafe-local")
    told = pd.read_csv(tmp_path / "told.csv")
    assert list(told.columns) == ["prediction", *COLUMNS]
    assert np.array_equal(told["prediction"], told["q_0.5"])
    assert (np.diff(told[COLUMNS], axis=1) >= 0).all()
    assert np.corrcoef(told["prediction"], new["progression"])[0, 1] > 0.4
    with pytest.raises(UsageError, match=r"predicts quantiles, which are ends of intervals already: q_0\.1, q_0\.5, q_0\.8.*0\.05,0\.95"):
        predict(run, rows, tmp_path / "no.csv", interval=0.9)
    assert load_run(run.path).predict(new, sandbox="unsafe-local")["q_0.8"].dtype == np.float64
    page = run.report.read_text(encoding="utf-8")
    assert "Quantile regression at 0.1, 0.5, 0.8 on 360 rows" in page
    assert "00 %</td>" not in page.split("<h3>Columns")[0].split("<h3>Target")[1], "the target has quantiles, and no shares of classes"
    assert "Between pairs of predicted quantiles" in page
    assert "reliability" in page
