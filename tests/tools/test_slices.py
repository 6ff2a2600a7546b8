"""A planted slice is found; in noise the tool names a slice no more often than its level says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, ttest_ind

from tests.tools.conftest import Open
from tools.candidates import Candidate, write_candidate
from tools.columns import coerce, infer_schema
from tools.contract import Contract, Split, TableSchema
from tools.deadline import Deadline
from tools.problem import Problem, load_problem
from tools.row_losses import capped, loss_of_rows, mean_losses
from tools.slices import LEVEL, find_slices
from tools.slicing import Half, conditions, halves, search, verify
from tools.spec import ToolRefused
from tools.workspace import Workspace


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, rows).round(1),
            "income": rng.lognormal(10, 1, rows),
            "plan": rng.choice(["basic", "plus", "pro's {x}"], rows),
            "region": rng.choice(list("abcdef"), rows),
            "since": (pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D")).astype(str),
            "flag": rng.choice([True, False], rows),
            "y": rng.normal(size=rows),
        }
    )
    frame.loc[rng.random(rows) < 0.15, "income"] = None
    return frame


def problem_of(frame: pd.DataFrame, **changes: object) -> Problem:
    schema = infer_schema(frame, "y")
    contract = Contract(
        task="regression",
        target="y",
        metric="rmse",
        direction="minimize",
        split=Split(kind="random", holdout_fraction=0.2, seed=0),
        folds=4,
        rows_train=len(frame),
        rows_holdout=1,
        features=list(frame.columns.drop("y")),
        seed=0,
    ).model_copy(update=changes)
    folds = np.arange(len(frame)) % 4
    return Problem(contract, TableSchema(columns=schema.columns), coerce(frame, schema), frame["y"].to_numpy(), folds)


def found_in(problem: Problem, losses: np.ndarray) -> list[tuple[list[str], float]]:
    first, second = halves(problem, losses, None)
    weighed = search(first, conditions(problem, first.rows), problem.X, 12, Deadline())
    return [([c.text for c in one.conditions], one.p_value) for one in verify(second, weighed.chosen, problem.X)]


def put(space: Workspace, oof: np.ndarray) -> None:
    """A candidate with these out-of-fold predictions."""
    problem = load_problem(space)
    candidate = Candidate(
        name="c", family="linear", params={}, preparation="default", metric=problem.contract.metric, score=problem.score(oof),
        std_error=0.1, fold_scores=problem.fold_scores(oof), n_folds=3, fit_seconds=1, predict_ms_per_row=1,
    )  # fmt: skip
    write_candidate(space, candidate, problem, oof)


def test_a_planted_slice_of_two_conditions_is_found_and_told_with_figures_of_unseen_rows(open_workspace: Open) -> None:
    frame = table(4000)
    space = open_workspace(frame, "y", "regression")
    problem = load_problem(space)
    bad = ((problem.X["plan"] == "plus") & (problem.X["income"].isna())).to_numpy()
    oof = problem.y + np.random.default_rng(1).normal(size=problem.n_rows) * np.where(bad, 3.0, 1.0)
    put(space, oof)
    result = find_slices("c")
    worst = result.slices[0]
    assert worst.columns == ["income", "plan"]
    assert worst.conditions == ["income is missing", "plan = 'plus'"]
    assert worst.rows == bad.sum()
    assert worst.p_value < 1e-3
    assert worst.low > 3
    assert worst.low < worst.loss - worst.loss_elsewhere < worst.high
    assert 4 < worst.loss < 8, "the largest losses count at most as their 99th percentile"
    assert 0.9 < worst.loss_elsewhere < 1.1
    assert worst.score == pytest.approx(3, rel=0.15)
    assert result.score_overall is not None
    assert result.score_overall < 1.5
    assert result.looked_at > 200
    assert result.complete
    assert (result.rows, result.rows_tested) == (3000, 1500)


def test_noise_yields_slices_no_more_often_than_the_level() -> None:
    runs, named = 120, 0
    problem = problem_of(table(800))
    for seed in range(runs):
        errors = np.random.default_rng(seed).normal(size=problem.n_rows) ** 2
        named += any(p <= LEVEL for _, p in found_in(problem, errors))
    assert named <= binom.ppf(0.999, runs, LEVEL)


def test_without_the_second_half_noise_would_look_bad() -> None:
    """The control: what the search finds on its own half passes there in any noise."""
    problem = problem_of(table(800))
    flattered = 0
    for seed in range(20):
        losses = np.random.default_rng(seed).normal(size=problem.n_rows) ** 2
        first, _ = halves(problem, losses, None)
        weighed = search(first, conditions(problem, first.rows), problem.X, 12, Deadline())
        flattered += any(one.p_value <= LEVEL for one in verify(first, weighed.chosen, problem.X))
    assert flattered >= 10


def test_the_test_is_welchs_and_a_slice_without_spread_is_not_certain() -> None:
    problem = problem_of(table(2000))
    rng = np.random.default_rng(0)
    inside = problem.X["plan"].eq("plus").to_numpy()
    losses = rng.exponential(np.where(inside, 1.5, 1.0))
    half = Half(np.arange(2000), losses, None)
    plus = next(c for c in conditions(problem, half.rows) if c.text == "plan = 'plus'")
    wanted = ttest_ind(losses[inside], losses[~inside], equal_var=False, alternative="greater")
    assert verify(half, [(plus,)], problem.X)[0].p_value == pytest.approx(float(wanted.pvalue), rel=1e-6)
    few = np.flatnonzero(inside)[:12]
    wrong = np.concatenate([np.ones(12), np.tile([0.0, 1.0], 30)])
    rows = np.concatenate([few, np.flatnonzero(~inside)[:60]])
    assert 1e-6 < verify(Half(rows, wrong, None), [(plus,)], problem.X)[0].p_value < 0.05


def test_groups_stay_in_one_half_and_count_as_one(open_workspace: Open) -> None:
    """40 groups whose level of loss varies: rows alone would call the slice of some groups certain."""
    rng = np.random.default_rng(0)
    frame = table(2000).assign(house=[f"h{i % 40}" for i in range(2000)])
    frame["side"] = np.where(frame["house"].str[1:].astype(int) < 20, "left", "right")
    problem = problem_of(frame)
    houses = frame["house"].str[1:].astype(int).to_numpy()
    losses = rng.exponential(size=40)[houses] + 0.1 * rng.random(2000)
    first, second = halves(problem, losses, houses)
    assert not set(houses[first.rows]) & set(houses[second.rows])
    side = next(c for c in conditions(problem, first.rows) if c.column == "side")
    clustered = verify(Half(np.arange(2000), losses, houses), [(side,)], problem.X)[0]
    alone = verify(Half(np.arange(2000), losses, None), [(side,)], problem.X)[0]
    assert clustered.high - clustered.low > 3 * (alone.high - alone.low)


@pytest.mark.parametrize(
    ("metric", "kind", "loss"),
    [
        ("mae", "absolute error", 2.0),
        ("rmse", "squared error", 4.0),
        ("huber", "Huber loss", 1.5),
        ("pinball_90", "pinball loss of the 90% quantile", 0.2),
        ("pinball_10", "pinball loss of the 10% quantile", 1.8),
        ("smape", "absolute error as a share of the mean of true and predicted value", None),
    ],
)
def test_a_rows_loss_follows_the_metric(metric: str, kind: str, loss: float | None) -> None:
    problem = problem_of(table(100), metric=metric)
    said = problem.y + 2.0
    losses, told = loss_of_rows(problem, said)
    assert told == kind
    assert np.allclose(losses, 4.0 / (np.abs(problem.y) + np.abs(said)) if loss is None else loss)
    said[0] = np.nan
    assert np.isnan(loss_of_rows(problem, said)[0]).tolist() == [True] + 99 * [False]


def test_repeats_are_judged_one_by_one_and_a_row_counts_once(open_workspace: Open) -> None:
    """Two repeats err to opposite sides where the plan is plus: their mean is right there, and no model is."""
    space = open_workspace(table(2000), "y", "regression")
    (space.data / "contract.json").write_text(space.contract.model_copy(update={"repeats": 2}).model_dump_json())
    problem = load_problem(space)
    bad = (problem.X["plan"] == "plus").to_numpy()
    noise, off = np.random.default_rng(1).normal(size=problem.n_rows), np.where(bad, 2.0, 0.0)
    assert problem.scheme.repeats == 2
    put(space, np.concatenate([problem.y + noise + off, problem.y + noise - off]))
    result = find_slices("c")
    assert (result.rows, result.slices[0].conditions) == (problem.n_rows, ["plan = 'plus'"])
    assert result.slices[0].score is not None
    assert result.slices[0].score > 2.0
    averaged, _ = loss_of_rows(problem, problem.y + noise)
    single, kind = mean_losses(problem, *2 * [np.concatenate([problem.y + noise + off, problem.y + noise - off])])
    assert np.allclose(single - averaged, off**2)
    assert kind == "squared error"


def test_one_row_cannot_hide_a_slice(open_workspace: Open) -> None:
    frame = table(2000)
    space = open_workspace(frame, "y", "regression")
    problem = load_problem(space)
    bad = (problem.X["plan"] == "plus").to_numpy()
    oof = problem.y + np.random.default_rng(1).normal(size=problem.n_rows) * np.where(bad, 2.0, 1.0)
    oof[np.flatnonzero(~bad)[:3]] += 500
    put(space, oof)
    result = find_slices("c")
    assert result.loss.startswith("squared error (at most its 99% quantile, ")
    assert result.slices[0].conditions == ["plan = 'plus'"]
    losses, kind = capped(np.array([0.0, 1.0, 0.5, np.nan]), "share of wrong classes")
    assert (losses[1], kind) == (1.0, "share of wrong classes")


def test_every_task_is_examined_and_few_rows_are_refused(open_workspace: Open) -> None:
    space = open_workspace("mixed")
    problem = load_problem(space)
    oof = np.random.default_rng(0).dirichlet(np.ones(3), problem.n_rows)
    put(space, oof)
    result = find_slices("c")
    assert result.loss.startswith("log loss")
    assert result.score_overall is not None


def test_two_groups_that_cannot_be_dealt_are_refused(open_workspace: Open) -> None:
    frame = table(400).assign(house=["large"] * 396 + ["a", "b", "c", "d"])
    space = open_workspace(frame, "y", "regression", split=Split(kind="group", column="house", holdout_fraction=0.25, seed=0))
    put(space, np.random.default_rng(0).normal(size=300))
    with pytest.raises(ToolRefused, match="the groups of 'house' are too large"):
        find_slices("c")


def test_conditions_cut_every_kind_of_column_into_parts_that_are_whole() -> None:
    problem = problem_of(table(800))
    found = conditions(problem, np.arange(800))
    assert {c.column for c in found} == {"age", "income", "plan", "region", "since", "flag"}
    for column in ("income", "plan", "since"):
        together = np.sum([c.holds(problem.X) for c in found if c.column == column], axis=0)
        assert (together == 1).all(), f"{column}: every row lies in one part"


def test_long_names_and_levels_are_cut_in_words_alone() -> None:
    frame = table(800).rename(columns={"age": "a" * 3000}).assign(plan=lambda t: t["plan"] + " " * 5 + "w" * 500)
    problem = problem_of(frame)
    found = conditions(problem, np.arange(800))
    assert max(len(c.text) for c in found) < 100
    assert sum(c.holds(problem.X).sum() for c in found if c.column == "plan") == 800


def test_too_few_rows(open_workspace: Open) -> None:
    space = open_workspace(table(120), "y", "regression")
    put(space, np.zeros(90))
    with pytest.raises(ToolRefused, match="90 validated rows are too few"):
        find_slices("c")
