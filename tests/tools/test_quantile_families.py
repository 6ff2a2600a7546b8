"""Families on quantiles: which share of values lies below what they say, and that what they say never crosses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.linear_model import QuantileRegressor

from tests.tools.conftest import Open, write_workspace
from tools.candidates import CandidateSpec, load_repeats
from tools.crossval import evaluate_candidate, setting_for
from tools.deadline import Deadline
from tools.ensembling import ensemble
from tools.families import LEARNS, NETWORKS, FamilyUnavailable, family, learners
from tools.families.fitted import Fitted
from tools.families.pinball_regression import PinballRegression
from tools.families.setting import FitContext
from tools.metrics import score
from tools.predictions import PredictionError, read_predictions, write_predictions
from tools.preparation import every_column
from tools.problem import Problem, load_problem
from tools.quantiles import losses_by_level, pinball_losses
from tools.refitting import refit
from tools.slices import find_slices
from tools.standings import over_rows
from tools.training import train

LEVELS = (0.05, 0.5, 0.9)


def fan(rows: int = 900) -> pd.DataFrame:
    """A target whose spread grows with one column and whose middle goes with another."""
    rng = np.random.default_rng(5)
    spread, middle = rng.uniform(0.2, 3.0, rows), rng.normal(size=rows)
    return pd.DataFrame({"spread": spread, "middle": middle, "y": 5 * middle + spread * rng.normal(size=rows)})


@pytest.fixture(scope="module")
def fans(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return load_problem(write_workspace(tmp_path_factory.mktemp("fan"), fan(), "y", "quantile", quantiles=LEVELS))


@pytest.mark.parametrize("name", [name for name in LEARNS["quantile"] if name not in ("sparse_linear", *NETWORKS)])
def test_out_of_fold_shares_are_near_the_levels(fans: Problem, name: str) -> None:
    try:
        chosen = family(name)
    except FamilyUnavailable as reason:
        pytest.skip(str(reason))
    preparation = every_column(fans.schema)
    params = {**chosen.default(setting_for(fans, preparation))[0]}
    if "n_estimators" in params:
        params["n_estimators"] = 80
    if name == "catboost":
        params["learning_rate"] = 0.2
    spec = CandidateSpec(name=f"{name}-1", family=name, params=params, preparation=preparation.name)
    found = evaluate_candidate(spec, fans, preparation, Deadline(60), pace=False)
    assert found.oof.shape == (fans.n_rows, 3)
    assert (np.diff(found.oof, axis=1) >= 0).all()
    assert (fans.y[:, None] <= found.oof).mean(axis=0) == pytest.approx(LEVELS, abs=0.12)
    assert found.candidate.score == pytest.approx(losses_by_level(fans.y, found.oof, np.array(LEVELS)).mean())
    # Only who learns spread as well as middle tells wide rows from narrow ones.
    width = found.oof[:, 2] - found.oof[:, 0]
    if name not in ("dummy", "tree"):
        assert np.corrcoef(width, fans.X["spread"])[0, 1] > 0.2
    bag = refit(found.candidate, fans, preparation, Deadline(30))[0]
    assert bag.predict(fans.X.head(7)).shape == (7, 3)
    assert bag.predict(fans.X.head(0)).shape == (0, 3)


def test_the_network_has_an_output_a_level(fans: Problem) -> None:
    pytest.importorskip("torch")
    setting = setting_for(fans, every_column(fans.schema))
    params = {**family("mlp").default(setting)[0], "hidden": 16, "learning_rate": 0.02, "epochs": 12, "log_target": False}
    learn, check = np.flatnonzero(fans.folds != 0), np.flatnonzero(fans.folds == 0)
    unseen = fans.X.iloc[check]
    fitted = family("mlp").fit(fans.X.iloc[learn], fans.y[learn], unseen, fans.y[check], params, setting, FitContext())
    found, floor = fitted.predict(unseen), np.tile(np.quantile(fans.y[learn], LEVELS), (len(check), 1))
    assert (np.diff(found, axis=1) >= 0).all()
    assert (fans.y[check, None] <= found).mean(axis=0) == pytest.approx(LEVELS, abs=0.2)
    mine, constant = (losses_by_level(fans.y[check], each, np.array(LEVELS)).mean() for each in (found, floor))
    assert mine < 0.5 * constant


def test_the_floor_is_the_targets_own_quantiles(fans: Problem) -> None:
    setting = setting_for(fans, every_column(fans.schema))
    fitted = family("dummy").fit(fans.X, fans.y, None, None, {}, setting, FitContext())
    assert np.allclose(fitted.predict(fans.X), np.quantile(fans.y, LEVELS))


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
def test_boosters_take_apart_each_level(fans: Problem, name: str) -> None:
    setting = setting_for(fans, every_column(fans.schema))
    fitted = family(name).fit(fans.X, fans.y, None, None, family(name).default(setting)[0], setting, FitContext(iterations=30))
    found = fitted.contributions(fans.X)
    assert found is not None
    assert found.values.shape == (fans.n_rows, 2, 3)
    raw = found.values.sum(axis=1) + found.base
    assert np.allclose(np.sort(raw, axis=1), fitted.predict(fans.X), rtol=1e-4, atol=1e-3)


def test_what_crosses_is_put_in_order_which_only_helps() -> None:
    class Crossing:
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return np.tile([3.0, 1.0, 2.0], (len(X), 1))

    X, y = pd.DataFrame({"x": range(50)}), np.random.default_rng(0).normal(2, 1, 50)
    found = Fitted(Crossing(), np.empty(0, dtype=np.int64), 0, levels=3).predict(X)
    assert found[0].tolist() == [1, 2, 3]
    assert losses_by_level(y, found, np.array(LEVELS)).mean() < losses_by_level(y, Crossing().predict(X), np.array(LEVELS)).mean()


def test_a_target_on_the_log_scale_has_the_same_quantiles(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    problem = load_problem(open_workspace(pd.DataFrame({"x": x, "y": np.exp(3 + x + 0.5 * rng.normal(size=600))}), "y", "quantile"))
    setting = setting_for(problem, every_column(problem.schema))
    assert setting.skewed
    params = {"alpha": 0.1, "log_target": True}
    found = family("linear").fit(problem.X, problem.y, None, None, params, setting, FitContext()).predict(problem.X)
    assert (problem.y[:, None] <= found).mean(axis=0) == pytest.approx([0.1, 0.5, 0.9], abs=0.03)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.95])
def test_the_smoothed_regression_is_as_good_as_the_linear_program(level: float) -> None:
    frame = fan(400)
    matrix, y = frame[["spread", "middle"]].to_numpy(), frame["y"].to_numpy()
    exact = QuantileRegressor(quantile=level, alpha=0.0).fit(matrix, y).predict(matrix)
    mine = PinballRegression([level], alpha=0.0).fit(matrix, y, Deadline()).predict(matrix)[:, 0]
    loss = [losses_by_level(y, found[:, None], np.array([level])).mean() for found in (mine, exact)]
    assert loss[0] <= 1.01 * loss[1]
    assert (y <= mine).mean() == pytest.approx(level, abs=0.01)


def test_no_step_is_taken_after_the_deadline(fans: Problem) -> None:
    matrix = fans.X.to_numpy()
    found = PinballRegression(LEVELS, alpha=1.0).fit(matrix, fans.y, Deadline(0)).predict(matrix)
    assert np.isfinite(found).all()


def test_a_blend_is_weighed_by_the_pinball_loss_and_crosses_nowhere(open_workspace: Open) -> None:
    space = open_workspace(fan(), "y", "quantile", quantiles=LEVELS)
    train(["linear", "lightgbm"], time_s=6)
    found = ensemble()
    problem = load_problem(space)
    oof = load_repeats(space, found.candidate.name, problem)
    assert found.candidate.score == pytest.approx(score("pinball", "quantile", problem.y, oof, units=problem.units))
    assert found.candidate.score <= 1.02 * found.best_single_score


def test_rivals_are_told_apart_by_the_pinball_loss_of_rows(fans: Problem) -> None:
    y, spread = fans.y, fans.X["spread"].to_numpy()
    mine, other = (y[:, None] + scale * spread[:, None] * norm.ppf(LEVELS) for scale in (1.0, 1.5))
    (bootstrap, wilcoxon), untested = over_rows(fans.contract, y, mine, other, grouped=False)
    of_rows = [pinball_losses(y, found, np.array(LEVELS)) for found in (mine, other)]
    assert bootstrap.difference == pytest.approx(of_rows[0].mean() - of_rows[1].mean())
    assert wilcoxon.difference == pytest.approx(bootstrap.difference)
    assert untested == []


def test_where_it_fails_is_asked_by_the_pinball_loss(open_workspace: Open) -> None:
    open_workspace(fan(), "y", "quantile", quantiles=LEVELS)
    train(["dummy"], time_s=20)
    found = find_slices("dummy-1", time_s=20)
    assert found.loss.startswith("pinball loss, the mean over levels")
    assert found.slices[0].columns == ["middle"]


def test_quantiles_that_cross_are_refused_by_the_host(open_workspace: Open, tmp_path: Path) -> None:
    contract = open_workspace("bands").contract
    values = np.tile([1.0, 2.0, 3.0], (contract.rows_holdout, 1))
    values[4] = [1.0, 1.0 - 1e-13, 3.0]  # what rounding does to an average
    path = tmp_path / "predictions.parquet"
    write_predictions(path, contract, values)
    assert read_predictions(path, contract, contract.rows_holdout).shape == values.shape
    values[7] = [1.0, 0.9, 3.0]
    write_predictions(path, contract, values)
    with pytest.raises(
        PredictionError, match=r"1 predictions lie below the quantile of a lower level; the first is row 7, column 'q_0\.5'"
    ):
        read_predictions(path, contract, contract.rows_holdout)
    with pytest.raises(PredictionError, match="expected one column for each of"):
        write_predictions(path, contract, values[:, 0])


def test_families_of_packages_and_neighbours_are_left_out() -> None:
    assert learners("quantile") == LEARNS["quantile"]
    assert "knn" not in LEARNS["quantile"]
