"""A result: frames, figures, how it shows itself, and what it says before there is a score. Over runs whose scores the host computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import team
from team.errors import UsageError
from team.result import RunResult
from team.rundir import RunDir, write_atomic
from tests.team.scored import scored
from tools.contract import Contract


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return scored(tmp_path_factory.mktemp("runs"), noise=0.8)


@pytest.fixture(scope="module")
def result(run: RunDir) -> RunResult:
    return team.load_run(run.path)


def test_the_public_names_are_those_of_the_design() -> None:
    assert sorted(name for name in dir(team) if not name.startswith("_")) == ["MlteamError", "RunResult", "Team", "arun", "load_run", "run"]


def test_the_holdout_predictions_give_the_score_that_was_told(result: RunResult) -> None:
    table = result.predictions
    positive = [name for name in table if name.startswith("proba_")][1]
    assert list(table.columns[:2]) == ["truth", "prediction"]
    assert roc_auc_score(table["truth"] == positive.removeprefix("proba_"), table[positive]) == pytest.approx(result_score(result))
    assert len(table) == len(result.holdout_rows)
    assert set(table["prediction"]) <= set(table["truth"])


def result_score(result: RunResult) -> float:
    """What the events say."""
    told = result.events.query("kind == 'holdout_scored'")["event"].iloc[0]
    return float(told["score"])


def test_out_of_fold_predictions_have_their_fold_and_the_number_of_their_row(result: RunResult, run: RunDir) -> None:
    write_atomic(run.leaderboard, '{"candidates": [{"name": "linear-1", "family": "linear", "score": 0.9, "std_error": 0.01}]}')
    table, contract = result.out_of_fold(), run.read_contract()
    assert isinstance(contract, Contract)
    assert list(table.columns[:3]) == ["fold", "truth", "prediction"]
    assert list(table.index) == list(range(contract.rows_train))
    assert set(table["fold"]) == set(range(contract.folds))
    with pytest.raises(UsageError, match=r"no candidate '../../x'; expected one of: linear-1"):
        result.out_of_fold("../../x")


def test_before_the_final_score_the_holdout_stays_sealed(tmp_path: Path) -> None:
    result = RunResult(scored(tmp_path, noise=0.8, ended="interrupted"))
    with pytest.raises(UsageError, match="no final score yet, so its holdout is sealed"):
        _ = result.predictions
    assert result.score is None
    assert result.holdout_rows.shape[1] == 30


def test_values_are_numbers_with_their_truth(tmp_path: Path) -> None:
    table = RunResult(scored(tmp_path, noise=0.5, source="sklearn:diabetes")).predictions
    assert list(table.columns) == ["truth", "prediction"]
    assert np.corrcoef(table["truth"], table["prediction"])[0, 1] > 0.5


def test_events_are_a_frame_in_order(result: RunResult) -> None:
    events = result.events
    assert list(events["kind"][:1]) == ["run_started"]
    assert events["at"].is_monotonic_increasing
    assert isinstance(events["at"].dtype, pd.DatetimeTZDtype)


def test_what_a_run_has_not_yet_is_said(result: RunResult) -> None:
    assert len(result.figures) == 0
    with pytest.raises(KeyError, match="no figure 'roc'"):
        _ = result.figures["roc"]
    assert "not written yet" in repr(result.report)
    with pytest.raises(UsageError, match="mlteam report"):
        result.report.show()


def test_a_result_shows_itself_as_text_and_as_html(run: RunDir) -> None:
    result = RunResult(run)
    scored = {"score": 0.8765, "low": 0.8, "high": 0.9, "level": 0.95, "n": 114, "looks": 1}
    result.summary |= {"status": "done", "reason": "", "holdout": scored}
    assert repr(result).startswith("RunResult: status     done\n")
    html = result._repr_html_()
    assert "ROC AUC on 114 sealed rows, 95 % interval 0.8000 to 0.9000;\nlooked at once." in html
    assert "r.predict(new_rows)" in html


def test_a_run_that_was_cut_off_says_how_to_go_on(tmp_path: Path) -> None:
    result = RunResult(scored(tmp_path, noise=0.8, ended=None))
    assert "r.resume()" in result._repr_html_()
    assert "was cut off in stage plan" in repr(result)
    with result._run.lock():  # somebody works on it
        assert "r.resume()" not in result._repr_html_()


HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\u202e"


def test_nothing_of_a_run_is_markup_in_a_cell(run: RunDir) -> None:
    result = RunResult(run)
    for name in ("target", "task", "metric", "model", "reason", "run"):
        result.summary[name] = HOSTILE
    result.summary["fallbacks"] = result.summary["degradations"] = [HOSTILE]
    result.summary["baseline"] = {"name": HOSTILE, "score": 0.5}
    html = result._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html


def test_a_team_hands_its_settings_on_and_lists_its_runs(run: RunDir) -> None:
    crew = team.Team(out=run.path.parent, time="5s")
    assert [r.path for r in crew.runs] == [run.path]
    assert crew.load_run().path == run.path
    assert "time='5s'" in repr(crew)
    with pytest.raises(UsageError, match="is no run directory"):
        crew.resume("another")
    with pytest.raises(UsageError, match="no such file"):
        crew.run("nowhere.csv", target="y", sandbox="unsafe-local")
