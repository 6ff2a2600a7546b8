"""Whole runs where no column is predicted: from a table to groups and scores of new rows, cut off on the way."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn import datasets

from team.predict import predict
from team.run import resume, start
from team.rundir import RunDir
from team.settings import load_settings
from tests.team.commands import command
from tests.team.test_resume import interrupt

pytestmark = pytest.mark.slow


def ended(tmp_path: Path, table: pd.DataFrame, **settings: Any) -> tuple[dict[str, Any], RunDir]:
    source = tmp_path / "table.csv"
    table.to_csv(source, index=False)
    given = {"source": str(source), "out": tmp_path, "time": "6s", "sandbox": "unsafe-local", **settings}
    summary = start(load_settings(given))
    return summary, RunDir(Path(summary["run"]))


def test_groups_are_found_told_and_given_to_new_rows(tmp_path: Path) -> None:
    table = datasets.load_wine(as_frame=True).data
    summary, run = ended(tmp_path, table, task="cluster")
    assert (summary["status"], summary["task"], summary["metric"], summary["target"]) == ("done", "cluster", "silhouette", None)
    assert summary["holdout"]["low"] > 0 == summary["baseline"]["score"]
    predict(run, tmp_path / "table.csv", tmp_path / "groups.csv", sandbox="unsafe-local")
    told = pd.read_csv(tmp_path / "groups.csv")
    assert list(told.columns) == ["prediction"]
    assert told["prediction"].between(0, 20).all()
    assert told["prediction"].nunique() > 1
    page = run.report.read_text(encoding="utf-8")
    for words in ("Finding <em>groups</em>", "Groups of rows", "set apart more than chance", "columns were shuffled"):
        assert words in page, words


def test_anomalies_are_scored_by_a_run_that_was_killed_and_goes_on(tmp_path: Path) -> None:
    table = datasets.load_breast_cancer(as_frame=True).data.iloc[:300, :8]
    source, out = tmp_path / "table.csv", tmp_path / "runs"
    table.to_csv(source, index=False)
    asked = command("run", str(source), "--task", "anomaly", "--time", "12s", "--sandbox", "unsafe-local", "--out", str(out))
    found, _, _ = interrupt(out, asked, lambda e: e["kind"] == "stage_entered" and e["stage"] == "train", signal.SIGKILL)
    run = RunDir(found)
    summary = resume(run)
    assert (summary["status"], summary["task"], summary["metric"]) == ("done", "anomaly", "agreement")
    assert summary["holdout"]["low"] > summary["baseline"]["score"] == 0
    predict(run, source, tmp_path / "scores.csv", sandbox="unsafe-local")
    assert pd.read_csv(tmp_path / "scores.csv")["prediction"].between(0, 1).all()
    page = run.report.read_text(encoding="utf-8")
    for words in ("Finding <em>anomalies</em>", "What stands out", "detectors agree, not that they are right"):
        assert words in page, words
