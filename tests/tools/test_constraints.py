"""Constraints: what they bar, what the fitted models promise, and what is told when nothing meets them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from tests.hosting import Hosting
from tests.tools.conftest import Open
from tools.candidates import leaderboard, load_candidate, load_oof, write_candidate
from tools.constraints import MONOTONE, Constraints, names_of, signs_of
from tools.contract import Column
from tools.crossval import setting_for
from tools.ensembling import ensemble
from tools.evaluation import evaluate
from tools.families import LEARNS, family
from tools.families.base import CHAIN
from tools.families.setting import FitContext, Setting
from tools.intake import fetch_data
from tools.preparation import load_preparation
from tools.problem import load_problem
from tools.sealing import seal_holdout
from tools.spec import InputRefused, ToolRefused
from tools.training import train, train_baselines
from tools.tuning import tune
from tools.workspace import Workspace, workspace


def bound(space: Workspace, **constraints: Any) -> Workspace:
    """The workspace with constraints in its contract, as the host would have sealed them."""
    path = space.data / "contract.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "constraints": Constraints(**constraints).model_dump(mode="json")}))
    return workspace()


def test_names_and_signs_are_read_as_they_are_typed() -> None:
    assert names_of('a, b,"c, d",a') == ("a", "b", "c, d")
    assert names_of(None) == ()
    assert signs_of("age:+, price of wood:-") == {"age": 1, "price of wood": -1}
    with pytest.raises(ValueError, match=r"'age': expected COLUMN:\+ or COLUMN:-"):
        signs_of("age")
    with pytest.raises(ValueError, match="'age' is to rise and to fall: expected one direction"):
        signs_of("age:+,age:-")


def test_what_each_constraint_bars() -> None:
    names = LEARNS["regression"]
    assert Constraints().allowed(names) == names
    assert Constraints(interpretable=True).allowed([*names, "ensemble", "code"]) == ["dummy", "linear", "tree", "sparse_linear"]
    assert Constraints(monotone={"a": 1}).allowed([*names, "code"]) == ["dummy", "tree", "lightgbm", "catboost", "xgboost"]
    assert Constraints(monotone={"a": 1}).refuses("ensemble") is None
    assert Constraints(monotone={"a": 1}, interpretable=True).allowed([*names, "ensemble", "code"]) == ["dummy", "tree"]
    assert Constraints(families=("tree", "mlp")).allowed(names) == ["dummy", "tree", "mlp"]
    assert Constraints(max_latency_ms=1).exceeded(2.0, 5.0) == "2 ms for a row, where 1 ms are allowed"
    assert Constraints(max_latency_ms=1).exceeded(1.0, 5.0) is None


@pytest.mark.parametrize("name", MONOTONE)
@pytest.mark.parametrize("metric", ["log_loss", "rmse", "mae"])
def test_predictions_are_monotone_where_the_truth_is_not(name: str, metric: str) -> None:
    rng = np.random.default_rng(0)
    n = 400
    X = pd.DataFrame({"up": rng.uniform(-3, 3, n), "down": rng.uniform(-3, 3, n), "free": rng.uniform(-3, 3, n)})
    X["kind"] = pd.Categorical(rng.choice(["a", "b", "c"], n))
    signal = X["up"] + 2 * np.sin(2 * X["up"]) - X["down"] - 2 * np.sin(2 * X["down"]) + np.sin(X["free"])
    columns = [Column(name=c, kind="categorical" if c == "kind" else "numeric", missing=0, unique=3 if c == "kind" else n) for c in X]
    classes = metric == "log_loss"
    y = (signal > 0).astype(np.int64).to_numpy() if classes else (signal + rng.normal(0, 0.3, n)).to_numpy()
    X.loc[rng.random(n) < 0.1, ["up", "free"]] = np.nan
    setting = Setting(columns=columns, n_rows=n, n_classes=2 if classes else 0, metric=metric, monotone={"up": 1, "down": -1})
    fitted = family(name).fit(X, y, None, None, family(name).default(setting)[0], setting, FitContext(iterations=40))

    def along(column: str) -> np.ndarray:
        """Steps of the prediction as one column rises, for 30 rows."""
        rows = X.iloc[:30]
        grid = [fitted.predict(rows.assign(**{column: value})) for value in np.linspace(-3, 3, 60)]
        values = np.stack([g[:, 1] if classes else g for g in grid])
        return np.diff(values, axis=0)

    assert along("up").min() >= -1e-9
    assert along("down").max() <= 1e-9
    assert along("up").max() > 1e-3
    assert along("free").min() < -1e-3 < 1e-3 < along("free").max()


@pytest.mark.parametrize("name", MONOTONE)
def test_labels_that_must_be_monotone_form_no_chain(name: str) -> None:
    """A label behind another learns of it, and may fall where that one rises."""
    setting = Setting(columns=[], n_rows=400, n_classes=2, metric="log_loss", labels=2)
    bound = replace(setting, monotone={"a": 1})
    assert [CHAIN in params for params in family(name).portfolio(setting)].count(True) == 1
    assert not any(CHAIN in params for params in family(name).portfolio(bound))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    free, kept = study.ask(), study.ask()
    family(name).search(free, setting)
    family(name).search(kept, bound)
    assert (CHAIN in free.params, CHAIN in kept.params) == (True, False)


def test_tools_refuse_what_the_contract_bars(open_workspace: Open) -> None:
    space = bound(open_workspace("breast_cancer"), interpretable=True)
    with pytest.raises(ToolRefused, match="a model that a person can read: linear, tree, sparse_linear"):
        train(["lightgbm"], time_s=5)
    with pytest.raises(ToolRefused, match="lightgbm is not tuned"):
        tune("lightgbm", time_s=5)
    found = train(["lightgbm", "tree"], time_s=60, per_family=1)
    assert [c.family for c in found.candidates] == ["tree"]
    assert [s.name for s in found.skipped] == ["lightgbm"]
    train_baselines(time_s=60)
    with pytest.raises(ToolRefused, match="no blend is made"):
        ensemble()
    assert {c.family for c in leaderboard(space)} == {"dummy", "linear", "tree"}


def test_what_is_allowed_alone_is_fitted_though_the_table_does_not_ask_for_it(open_workspace: Open) -> None:
    """A sparse linear model has nothing to add to a dense one on numbers; where the user allows no other, it is what there is."""
    space = open_workspace("breast_cancer")
    left = train(["sparse_linear"], time_s=60, per_family=1)
    assert (left.candidates, [one.reason for one in left.skipped]) == ([], ["there is no text, and no category of more than 30 levels"])
    assert left.stopped is None
    bound(space, families=("sparse_linear",))
    found = train(["sparse_linear"], time_s=60, per_family=1)
    assert [c.family for c in found.candidates] == ["sparse_linear"]
    assert found.candidates[0].score > 0.95
    bound(space, families=("sparse_linear", "tree"))
    assert [c.family for c in train(["sparse_linear", "tree"], time_s=60, per_family=1).candidates] == ["tree"]


@pytest.mark.parametrize(("name", "reads"), [("linear", False), ("tree", False), ("sparse_linear", True)])
def test_a_readable_model_weighs_words_and_no_components_of_texts(name: str, reads: bool, open_workspace: Open) -> None:
    space = bound(open_workspace("mixed"), interpretable=True)
    problem = load_problem(space)
    setting = setting_for(problem, load_preparation(space, "default", problem))
    made = family(name)
    told = problem.X.assign(**{"note 🙂": [f"fine fine broken word{i}" for i in range(problem.n_rows)]})
    for params in made.portfolio(setting):
        fitted = made.fit(problem.X, problem.y, None, None, params, setting, FitContext())
        assert (np.abs(fitted.predict(told) - fitted.predict(problem.X)).max() > 1e-3) == reads
    free = replace(setting, readable=False)
    fitted = made.fit(problem.X, problem.y, None, None, made.portfolio(free)[-1], free, FitContext())
    assert np.abs(fitted.predict(told) - fitted.predict(problem.X)).max() > 1e-3
    texts = replace(setting, columns=[column for column in setting.columns if column.kind == "text"])
    assert (made.unsuited(texts) is None) == reads
    assert made.unsuited(setting) is None


def test_baselines_are_those_that_may_be_fitted(open_workspace: Open) -> None:
    space = bound(open_workspace("breast_cancer"), monotone={"mean_radius": 1})
    train_baselines(time_s=60)
    assert {c.family for c in leaderboard(space)} == {"dummy", "tree"}
    assert [c.name for c in train(["tree"], time_s=60, per_family=2).candidates] == ["tree-2"], (
        "the only family left has more than one tree"
    )


def test_members_are_dropped_until_the_blend_is_small_enough(open_workspace: Open) -> None:
    space = open_workspace("breast_cancer")
    train(["tree", "random_forest"], time_s=60, per_family=1)
    sizes = {c.family: c.size_mb for c in leaderboard(space)}
    assert min(sizes.values()) > 0
    assert sizes["random_forest"] > 3 * sizes["tree"]
    space = bound(space, max_size_mb=sizes["random_forest"] / 2)
    made = load_candidate(space, ensemble().candidate.name)
    assert "random_forest-1" not in {m.name for m in made.members}
    assert made.size_mb <= sizes["random_forest"] / 2
    with pytest.raises(ToolRefused, match=r"'random_forest-1' takes .* MB on file, where .* The best that keeps to it by its folds is"):
        evaluate("random_forest-1", time_s=60)
    found = evaluate(made.name, time_s=60)
    assert 0 < found.size_mb <= sizes["random_forest"] / 2
    assert found.latency_ms > 0


def test_members_are_dropped_until_a_row_is_quick_enough(open_workspace: Open) -> None:
    space = open_workspace("breast_cancer")
    train(["tree"], time_s=60, per_family=1)
    slow = load_candidate(space, "tree-1").model_copy(update={"name": "tree-slow", "latency_ms": 1e6})
    problem = load_problem(space)
    write_candidate(space, slow, problem, load_oof(space, "tree-1", problem))
    space = bound(space, max_latency_ms=1e5)
    made = load_candidate(space, ensemble().candidate.name)
    assert [m.name for m in made.members] == ["tree-1"]
    with pytest.raises(ToolRefused, match=r"'tree-slow' takes 1e[+]06 ms for a row, where 100000 ms are allowed"):
        evaluate("tree-slow", time_s=60)


def test_what_nothing_can_meet_names_the_nearest(open_workspace: Open) -> None:
    space = open_workspace("breast_cancer")
    train(["linear", "tree"], time_s=60, per_family=1)
    near = min(leaderboard(space), key=lambda c: c.size_mb or 0.0)
    far = max(leaderboard(space), key=lambda c: c.size_mb or 0.0)
    bound(space, max_size_mb=1e-6)
    with pytest.raises(ToolRefused, match=f"No candidate keeps to it; the nearest is '{near.name}'"):
        evaluate(far.name, time_s=60)


def test_forbidden_columns_are_nowhere_to_be_seen(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    pd.DataFrame({"a": rng.normal(size=200), "secret": rng.normal(size=200), "y": rng.integers(0, 2, 200)}).to_csv(
        tmp_path / "t.csv", index=False
    )
    h = Hosting(tmp_path / "runs", tmp_path / "t.csv", target="y", forbid="secret")
    fetch_data(h.host)
    seal_holdout(h.host)
    assert h.vault.contract.features == ["a"]
    assert "secret" not in (h.run.data / "schema.json").read_text()
    for table in ("train", "holdout"):
        assert "secret" not in pd.read_parquet(h.run.data / f"{table}.parquet")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"forbid": "secrte"}, "forbidden column 'secrte' is not in the table. Nearest: secret"),
        ({"forbid": "y"}, "--forbid takes 'y' away, which is the target"),
        ({"forbid": "kind", "group": "kind"}, "'kind' away, which is the group column"),
        ({"monotone": "kind:+"}, "'kind', which is a categorical column; only numbers have a direction"),
        ({"families": "lightgbm", "interpretable": True}, "no model family is left"),
        ({"monotone": "a:+", "target": "kind"}, "of several classes none is up"),
        ({"monotone": "a:+", "target": "kind", "task": "ordinal", "classes": "u,v,w"}, "no family here keeps ordered classes to it"),
        ({"target": "time", "event": "y", "monotone": "y:+"}, "--monotone names 'y', which is the event column"),
        ({"target": "y,z", "forbid": "z"}, "--forbid takes 'z' away, which is a label of --target. .* or name another label"),
        ({"target": "y,z", "monotone": "z:+"}, "--monotone names 'z', which is a label of --target"),
        ({"sensitive": "y"}, "--sensitive names 'y', which is the target; expected a column that says which group"),
        ({"sensitive": "z", "forbid": "z", "objectives": "score,fairness"}, "'z', which --forbid or another constraint keeps"),
        ({"sensitive": "few", "objectives": "score,fairness"}, "'few' has 1; its largest: 'm' 190, 'f' 10"),
    ],
)
def test_constraints_that_cannot_be_are_refused_before_anything_is_sealed(tmp_path: Any, settings: dict[str, Any], message: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=200), "secret": rng.normal(size=200), "kind": rng.choice(list("uvw"), 200)})
    frame = frame.assign(y=rng.integers(0, 2, 200), z=rng.integers(0, 2, 200), time=rng.exponential(5, 200), few=["m"] * 190 + ["f"] * 10)
    frame.to_csv(tmp_path / "t.csv", index=False)
    h = Hosting(tmp_path / "runs", tmp_path / "t.csv", **{"target": "y", **settings})
    fetch_data(h.host)
    with pytest.raises(InputRefused, match=message):
        seal_holdout(h.host)
    assert not h.vault.sealed
