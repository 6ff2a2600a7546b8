"""A whole survival run: from a table with censored times to risks of new rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from team.errors import UsageError
from team.events import HoldoutScored
from team.log import read_events
from team.predict import predict, read_times
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings
from tests.tools.conftest import lifetimes
from tools.concordance import Concordance
from tools.survival import signed_times

pytestmark = pytest.mark.slow


def test_it_ends_with_a_model_whose_risks_rank_new_rows(tmp_path: Path) -> None:
    table, new = lifetimes(700).iloc[:400], lifetimes(700).iloc[400:]
    source, rows = tmp_path / "trial.csv", tmp_path / "new.csv"
    table.to_csv(source, index=False)
    new.drop(columns=["time", "died"]).to_csv(rows, index=False)
    given = {"source": str(source), "target": "time", "event": "died", "out": tmp_path, "time": "8s", "sandbox": "unsafe-local"}
    summary = start(load_settings(given))
    assert (summary["status"], summary["task"], summary["metric"], summary["fallbacks"]) == ("done", "survival", "c_index", [])
    holdout = summary["holdout"]
    assert holdout["low"] > 0.6 > summary["baseline"]["score"] == 0.5
    assert (holdout["n"], holdout["looks"]) == (80, 1)
    run = RunDir(Path(summary["run"]))
    assert list(pd.read_parquet(run.data / "holdout.parquet").columns) == ["dose", "site", "noise"]
    predict(run, rows, tmp_path / "risks.csv", sandbox="unsafe-local")
    risks = pd.read_csv(tmp_path / "risks.csv")
    assert list(risks.columns) == ["prediction"]
    found = Concordance(signed_times(new["time"].to_numpy(), new["died"].to_numpy()), risks["prediction"].to_numpy()).score()
    assert found == pytest.approx(holdout["score"], abs=0.1)
    page = run.report.read_text(encoding="utf-8")
    assert "Predicting the risk of <em>died</em>" in page
    assert "Survival analysis" in page
    assert "ranking rows by the risk of" in page
    assert not np.isnan(risks["prediction"]).any()
    # Curves that the host learnt and scored, beside the concordance, and packaged.
    others = next(event for event in read_events(run.events) if isinstance(event, HoldoutScored)).others
    assert 0 < others["ibs"] < others["ibs_one_curve"] < 0.4
    assert "Integrated Brier score" in page
    predict(run, rows, tmp_path / "chances.csv", sandbox="unsafe-local", at=[2, 12.5])
    chances = pd.read_csv(tmp_path / "chances.csv")
    assert list(chances.columns) == ["prediction", "survival_2", "survival_12.5"]
    assert (chances["survival_12.5"] < chances["survival_2"]).all()
    lived = float((new["time"] > 12.5).mean())  # a little too low: who was censored before may have lived
    assert lived - 0.05 < chances["survival_12.5"].mean() < lived + 0.25
    with pytest.raises(UsageError, match=r"--at 9999: expected times between 0 and \d"):
        predict(run, rows, tmp_path / "chances.csv", at=[9999])
    with pytest.raises(UsageError, match="'soon' is no time"):
        read_times("12,soon")
