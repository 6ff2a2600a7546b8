"""Candidates under every scheme: the kernel's score is the host's, and every step of a search goes through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hosting import Hosting
from tests.tools.test_schemes import table
from tools.candidates import BEFORE, Candidate, leaderboard, load_oof, load_repeats, standard_error
from tools.ensembling import ensemble
from tools.evaluation import evaluate
from tools.explaining import explain
from tools.intake import fetch_data
from tools.learning_curve import learning_curve
from tools.problem import load_problem
from tools.refitting import refit_iterations
from tools.sealing import seal_holdout
from tools.slices import find_slices
from tools.training import train
from tools.tuning import tune
from tools.workspace import Workspace, workspace

SCHEMES: dict[str, dict[str, Any]] = {
    "repeated": {"repeats": 3, "folds": 3},
    "loo": {"folds": "loo", "holdout": 0.7},
    "one group out": {"folds": "loo", "group": "who"},
    "repeated groups": {"repeats": 2, "folds": 3, "group": "who"},
    "sliding with a gap": {"time_column": "day", "window": "sliding", "gap": "3d", "folds": 3},
    "expanding with a gap": {"time_column": "step", "gap": "2", "folds": 3},
}


@pytest.fixture(params=SCHEMES)
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Hosting, Workspace]:
    """A sealed table, and the workspace that its kernel tools find."""
    table().to_csv(tmp_path / "t.csv", index=False)
    h = Hosting(tmp_path / "runs", tmp_path / "t.csv", target="y", **SCHEMES[request.param])
    fetch_data(h.host)
    seal_holdout(h.host)
    monkeypatch.setenv("MLTEAM_DATA", str(h.run.data))
    monkeypatch.setenv("MLTEAM_WORK", str(h.run.work))
    return h, workspace()


def agrees(h: Hosting, record: Candidate) -> None:
    found = h.vault.out_of_fold.score(h.run.work / "candidates" / record.name / "oof.parquet")
    assert record.score == pytest.approx(found.score)
    assert record.fold_scores == pytest.approx(found.fold_scores)
    assert record.decision == found.decision
    assert record.std_error == pytest.approx(standard_error(found.fold_scores, h.vault.contract.repeats))


@pytest.mark.slow
def test_the_host_scores_what_the_kernel_says(opened: tuple[Hosting, Workspace]) -> None:
    h, space = opened
    train(["linear", "tree"], per_family=1, time_s=600)
    problem, contract = load_problem(space), h.vault.contract
    for record in leaderboard(space):
        agrees(h, record)
        assert (record.n_folds, record.repeats) == (len(problem.parts), contract.repeats)
        assert len(load_repeats(space, record.name, problem)) == contract.repeats * problem.n_rows
        assert (np.isfinite(load_oof(space, record.name, problem)) == problem.validated).all()
    assert len(leaderboard(space)) == 2
    blend = ensemble(time_s=3)
    agrees(h, leaderboard(space)[[c.name for c in leaderboard(space)].index(blend.candidate.name)])
    assert evaluate(leaderboard(space)[0].name, time_s=20).rows_predicted == contract.rows_holdout


@pytest.mark.slow
def test_a_search_goes_through(opened: tuple[Hosting, Workspace]) -> None:
    h, space = opened
    found = tune("tree", trials=3, time_s=60)
    best = next(c for c in leaderboard(space) if c.name == found.candidate.name)
    agrees(h, best)
    assert refit_iterations(best.model_copy(update={"iterations": [10] * best.n_folds}), space.contract) in range(10, 14)
    evaluate(best.name, time_s=20)
    explain(best.name, time_s=2)
    if int(load_problem(space).validated.sum()) >= 100:
        find_slices(best.name)
    problem = load_problem(space)
    if len(problem.learn(problem.fold_ids[-1])) > 50:
        assert len(learning_curve(best.name, time_s=10).points) > 2


@pytest.mark.parametrize("metric", ["log_loss", "f1"])
def test_repeats_are_calibrated_and_decided_alike_by_kernel_and_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str) -> None:
    rows = table(600).assign(y=lambda t: (t["y"] > 1.2).map({True: "rare", False: "often"}))
    rows.to_csv(tmp_path / "t.csv", index=False)
    h = Hosting(tmp_path / "runs", tmp_path / "t.csv", target="y", metric=metric, repeats=2, folds=3)
    fetch_data(h.host)
    seal_holdout(h.host)
    monkeypatch.setenv("MLTEAM_DATA", str(h.run.data))
    monkeypatch.setenv("MLTEAM_WORK", str(h.run.work))
    train(["tree"], per_family=1, time_s=600)
    space, contract = workspace(), h.vault.contract
    problem, (record,) = load_problem(space), leaderboard(space)
    agrees(h, record)
    if metric == "f1":
        assert record.decision
        return
    assert record.calibration is not None
    before = load_repeats(space, record.name, problem, BEFORE)
    assert len(before) == contract.repeats * problem.n_rows
    assert record.score < problem.score(before)
    assert evaluate(record.name, time_s=30).uncalibrated == pytest.approx(problem.score(before))


def test_the_score_of_repeats_is_that_of_single_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean over repeats averages three predictions a row, which flatters; the score must not take it."""
    table().to_csv(tmp_path / "t.csv", index=False)
    h = Hosting(tmp_path / "runs", tmp_path / "t.csv", target="y", repeats=3)
    fetch_data(h.host)
    seal_holdout(h.host)
    monkeypatch.setenv("MLTEAM_DATA", str(h.run.data))
    monkeypatch.setenv("MLTEAM_WORK", str(h.run.work))
    train(["tree"], per_family=1, time_s=60)
    space = workspace()
    problem, record = load_problem(space), leaderboard(space)[0]
    averaged = problem.score(load_oof(space, record.name, problem))
    assert averaged < record.score, "rmse of an average of trees is lower than that of trees"
    assert record.std_error == pytest.approx(np.std(record.fold_scores, ddof=1) / np.sqrt(problem.contract.folds))
