"""Signed times, what follows from them, and the families that learn risks from them."""

from __future__ import annotations

import pickle
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open, lifetimes
from tools.candidates import leaderboard, load_candidate
from tools.coverage import covered
from tools.eda import profile_table
from tools.evaluation import evaluate
from tools.families import LEARNS
from tools.folds import share_of
from tools.problem import load_problem
from tools.row_losses import loss_of_rows
from tools.spec import ToolRefused
from tools.survival import (
    cumulative_hazard,
    events_of,
    null_residuals,
    read_events,
    signed_times,
    survival_curve,
    survival_interval,
    times_of,
)
from tools.training import train, train_baselines
from tools.tuning import tune

EXTRA = find_spec("sksurv") is not None
# Freireich et al. 1963: weeks of remission of 21 children with leukaemia who got 6-mercaptopurine.
WEEKS = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35.0])
RELAPSED = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0])


def test_a_time_keeps_its_sign_also_at_zero() -> None:
    y = signed_times(np.array([0.0, 0.0, 3.0, 4.0]), np.array([True, False, True, False]))
    assert times_of(y).tolist() == [0, 0, 3, 4]
    assert events_of(y).tolist() == [True, False, True, False]


def test_the_curve_is_the_one_in_the_textbooks() -> None:
    moments, outlive = survival_curve(signed_times(WEEKS, RELAPSED))
    assert moments.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert outlive.round(3).tolist() == [0.857, 0.807, 0.753, 0.69, 0.627, 0.538, 0.448]
    _, hazard = cumulative_hazard(signed_times(WEEKS, RELAPSED))
    assert hazard[:2].tolist() == pytest.approx([3 / 21, 3 / 21 + 1 / 17])


def test_the_interval_of_the_curve_is_that_of_a_share_where_nothing_is_censored() -> None:
    times, at = np.arange(1.0, 41.0), np.array([0.5, 10.0, 40.0])
    for time, share, low, high in zip(at, *survival_interval(times, at), strict=True):
        told = covered(0.95, int((times > time).sum()), 40, 0.0)
        assert share == pytest.approx(told.share)
        if 0 < share < 1:
            assert (low, high) == pytest.approx((told.low, told.high))
    # Censored rows say less: the interval at the same share is wider. Where nobody is seen any more, it is all there is.
    half = np.where(np.arange(40) % 2 == 0, times, -times)
    share, low, high = (float(ends[0]) for ends in survival_interval(half, np.array([30.0])))
    told = covered(0.95, round(40 * share), 40, 0.0)
    assert high - low > told.high - told.low
    assert [float(ends[0]) for ends in survival_interval(-times, np.array([99.0]))] == pytest.approx([1.0, 0.0, 1.0])


def test_residuals_sum_to_nothing_and_rise_with_early_events() -> None:
    found = null_residuals(signed_times(WEEKS, RELAPSED))
    assert found.sum() == pytest.approx(0)
    assert found[0] > 0 > found[-1]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([0, 1, 1]), [0, 1, 1]),
        (pd.Series([1, 2, 2]), [0, 1, 1]),
        (pd.Series([True, False, True]), [1, 0, 1]),
        (pd.Series(["alive", " Dead", None]), [0, 1, np.nan]),
        (pd.Series([1.0, np.nan, 1.0]), [1, np.nan, 1]),
    ],
)
def test_events_are_read_as_people_write_them(column: pd.Series, expected: list[float]) -> None:
    np.testing.assert_array_equal(read_events(column).to_numpy(), expected)


@pytest.mark.parametrize(("column", "said"), [(pd.Series([0, 1, 2]), "3 different values"), (pd.Series(["blue", "red"]), "'blue'")])
def test_other_columns_are_no_events(column: pd.Series, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_events(column)


def test_folds_and_shares_hold_events_alike(open_workspace: Open) -> None:
    problem = load_problem(open_workspace(lifetimes(), "time", "survival", event="died"))
    events = events_of(problem.y)
    shares = [events[problem.folds == fold].mean() for fold in problem.fold_ids]
    assert max(shares) - min(shares) < 0.02
    part = share_of(np.arange(problem.n_rows), 0.2, problem.y, problem.contract)
    assert events[part].mean() == pytest.approx(events.mean(), abs=0.02)


def patients() -> pd.DataFrame:
    """The 686 women of the German Breast Cancer Study Group 2 (Schumacher et al. 1994), which scikit-survival brings; 56 % are censored."""
    from sksurv.datasets import load_gbsg2

    X, y = load_gbsg2()
    words = {name: X[name].astype(str) for name in ("horTh", "menostat", "tgrade")}
    return X.assign(**words, time=y["time"], died=y["cens"].astype(int))


def test_families_rank_real_patients(open_workspace: Open) -> None:
    space = open_workspace(patients() if EXTRA else lifetimes(), "time", "survival", event="died")
    base = train_baselines(time_s=20)
    assert [c.family for c in base.candidates] == (["coxnet", "dummy"] if EXTRA else ["dummy"])
    wanted = [name for name in LEARNS["survival"] if name not in ("dummy", "coxnet")]
    found = train(wanted, time_s=60, per_family=1)
    missing = [s for s in found.skipped if "pip install 'mlteam[survival]'" in s.reason]
    assert len(found.candidates) + len(missing) == len(wanted)
    best = {c.family: c.score for c in leaderboard(space)}
    assert best["dummy"] == 0.5
    assert all(value > 0.62 for name, value in best.items() if name != "dummy"), best
    record = load_candidate(space, "xgboost-1")
    assert record.metric == "c_index"


def test_a_family_of_another_problem_is_refused(open_workspace: Open) -> None:
    open_workspace(lifetimes(120), "time", "survival", event="died")
    with pytest.raises(ToolRefused, match="no family 'lightgbm' for a survival task; families: dummy, coxnet"):
        train(["lightgbm"])
    with pytest.raises(ToolRefused, match="catboost is not for a survival task"):
        tune("catboost")


def test_a_risk_is_evaluated_and_drawn(open_workspace: Open) -> None:
    space = open_workspace(lifetimes(), "time", "survival", event="died")
    train(["xgboost"], time_s=20, per_family=1)
    found = evaluate("xgboost-1", time_s=30)
    assert [m.metric for m in found.metrics] == ["c_index", "c_index_ipcw", "ibs", "ibs_one_curve"]
    curves, alike = found.metrics[2:]
    assert curves.low < curves.score < curves.high < alike.score
    assert found.importance[0].column == "dose"
    assert "plots/xgboost-1-survival.png" in found.plots
    assert found.degraded == []
    holdout = pd.read_parquet(space.work / found.predictions)
    assert list(holdout.columns) == ["row", "prediction"]
    assert holdout["prediction"].between(0, 1).all()
    import joblib

    model = joblib.load(space.fitted / "xgboost-1" / "pipeline.joblib")
    again = pickle.loads(pickle.dumps(model)).predict_table(space.table("holdout"))
    np.testing.assert_array_equal(again, holdout["prediction"])


def test_a_profile_tells_events_and_the_column_that_matters(open_workspace: Open) -> None:
    open_workspace(lifetimes(120), "time", "survival", event="died")
    found = profile_table()
    assert found.profiles[0].column == "dose"
    assert found.profiles[0].association is not None
    assert found.profiles[0].association > 0.6
    assert found.target_distribution[0].label == "event seen"
    assert {w.kind for w in found.warnings} == {"few_rows"}


def test_a_row_is_charged_for_its_pairs_in_the_wrong_order(open_workspace: Open) -> None:
    problem = load_problem(open_workspace(lifetimes(120), "time", "survival", event="died"))
    losses, what = loss_of_rows(problem, -times_of(problem.y))
    assert np.nanmax(losses) == 0, what
    worst, _ = loss_of_rows(problem, times_of(problem.y))
    assert np.nanmin(worst) == 1
