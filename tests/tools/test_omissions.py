"""Each part of the engine can be left out, and what the contract then says is what happens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open, mixed
from tools.abreast import lanes_for
from tools.candidates import CandidateSpec, leaderboard
from tools.contract import Contract
from tools.crossval import evaluate_candidate, setting_for
from tools.deadline import Deadline
from tools.families import family
from tools.families.matrix import encoder_for
from tools.features import ONE_HOT_UP_TO
from tools.preparation import load_preparation
from tools.problem import Problem, load_problem
from tools.refitting import refit, refit_iterations
from tools.spec import ToolRefused
from tools.training import train
from tools.tuning import tune
from tools.workspace import Workspace


def without(space: Workspace, *parts: str, **fields: object) -> Problem:
    """The problem of a workspace whose contract leaves parts out."""
    path = space.data / "contract.json"
    contract = json.loads(path.read_text())
    contract["constraints"] = {"without": parts}
    path.write_text(Contract.model_validate({**contract, **fields}).model_dump_json())
    return load_problem(space)


@pytest.fixture
def table(open_workspace: Open) -> Workspace:
    """Texts, dates, few levels and many."""
    frame = mixed(300)
    frame["place"] = [f"p{i}" for i in np.random.default_rng(0).integers(0, 25, 300)]
    frame["outcome"] = np.where(frame["outcome"] == "rare", "yes", frame["outcome"])
    return open_workspace(frame, target="outcome", task="binary")


def widths(space: Workspace, style: str, *parts: str) -> dict[str, int]:
    """Columns of the matrix by source column."""
    problem = without(space, *parts)
    encoder = encoder_for(setting_for(problem, load_preparation(space, "default", problem)), style)  # type: ignore[arg-type]
    encoder.fit_transform(problem.X, problem.y)
    found: dict[str, int] = {}
    for block in encoder.blocks_:
        found[block.source] = found.get(block.source, 0) + block.stop - block.start
    return found


def test_columns_are_read_in_plainer_ways(table: Workspace) -> None:
    whole, forest = widths(table, "codes"), widths(table, "target")
    assert "note 🙂" in whole
    assert "note 🙂" not in widths(table, "codes", "texts")
    assert whole["note 🙂"] - widths(table, "codes", "text_reading")["note 🙂"] == 1
    assert (whole["when"], widths(table, "codes", "date_parts")["when"]) == (7, 1)
    assert widths(table, "codes", "native_categories") == forest
    assert forest['colour "{a}"'] == 4
    plain = without(table, "target_means")
    encoder = encoder_for(setting_for(plain, load_preparation(table, "default", plain)), "target")
    matrix = encoder.fit_transform(plain.X, plain.y)
    place = next(block for block in encoder.blocks_ if block.source == "place")
    assert set(np.unique(matrix[:, place.start])) == set(range(len(encoder.levels_["place"])))
    assert len(encoder.levels_["place"]) > ONE_HOT_UP_TO


@pytest.mark.parametrize("name", ["catboost", "mlp", "linear", "sparse_linear", "lightgbm", "xgboost"])
def test_families_fit_without_their_own_ways(table: Workspace, name: str) -> None:
    problem = without(table, "native_categories", "target_means", "date_parts", "text_reading", "texts")
    preparation = load_preparation(table, "default", problem)
    one = setting_for(problem, preparation)
    params = family(name).default(one)[0] | ({"epochs": 4} if name == "mlp" else {})
    spec = CandidateSpec(name=f"{name}-1", family=name, params=params, preparation="default")
    found = evaluate_candidate(spec, problem, preparation, Deadline()).candidate
    assert found.score > 0.6


def test_one_fold_teaches_and_scores(table: Workspace) -> None:
    problem = without(table, "folds")
    assert problem.fold_ids == [0]
    part = problem.parts[0]
    learn, check = problem.scheme.rows(part)
    assert (len(problem.parts), len(learn) + len(check)) == (1, problem.n_rows)
    assert len(check) == pytest.approx(problem.n_rows / 3, abs=1)
    made = train(["extra_trees", "lightgbm"], per_family=2, time_s=60)
    assert {len(c.fold_scores) for c in leaderboard(table)} == {1}
    assert not [s for s in made.skipped if "behind" in s.reason], "one fold does not tell who is behind"
    boosted = next(c for c in leaderboard(table) if c.family == "lightgbm")
    rounds = refit_iterations(boosted, problem.contract)
    assert rounds == round(np.mean(boosted.iterations) * 1.25)
    assert refit_iterations(boosted, without(table, "folds", "growth").contract) == np.mean(boosted.iterations)


def test_searches_do_without(table: Workspace) -> None:
    without(table, "portfolio", "tuning", "lightgbm")
    found = train(["tree", "knn", "extra_trees", "lightgbm"], time_s=60)
    assert {c.name for c in found.candidates} == {"tree-1", "knn-1", "extra_trees-1"}
    assert [s.reason for s in found.skipped if s.name == "lightgbm"] == ["the contract leaves lightgbm out"]
    with pytest.raises(ToolRefused, match="its contract leaves tuning out"):
        tune("tree", trials=2, time_s=5)


def test_fits_run_one_after_the_other_and_with_one_seed(table: Workspace) -> None:
    for part, lanes, bags in (("abreast", 1, 4), ("seeds", 2, 1)):
        problem = without(table, part)
        preparation = load_preparation(table, "default", problem)
        two = replace(setting_for(problem, preparation), threads=2)
        assert lanes_for(family("lightgbm"), 100, two, 5) == lanes
        params = family("lightgbm").default(two)[0]
        spec = CandidateSpec(name="lightgbm-1", family="lightgbm", params=params, preparation="default")
        candidate = evaluate_candidate(spec, problem, preparation, Deadline(60), target=Deadline(1)).candidate
        assert len(refit(candidate, problem, preparation, Deadline(60))) == bags


def test_predictions_are_left_as_they_are(open_workspace: Open) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=600)
    frame = pd.DataFrame({"x": x, "y": np.where(x + rng.normal(size=600) > 1.2, "yes", "no")})
    space = open_workspace(frame, target="y", task="binary", metric="f1")
    problem = load_problem(space)
    sure = 1 / (1 + np.exp(-6 * (problem.X["x"].to_numpy(float) - 1.2)))
    proba = np.column_stack([1 - sure, sure])
    assert problem.decide(proba)[0]
    assert without(space, "decision").decide(proba)[0] == []
    loss = without(space, metric="log_loss", direction="minimize")
    assert loss.calibrate(proba)[0] is not None
    assert without(space, "calibration").calibrate(proba)[0] is None
    weighed = without(space, metric="f1", direction="maximize")
    preparation = load_preparation(space, "default", weighed)
    assert setting_for(weighed, preparation).weighs_classes
    assert not setting_for(without(space, "class_weights"), preparation).weighs_classes


def test_the_refit_is_left_out(table: Workspace, tmp_path: Path) -> None:
    from tools.finishing import finish

    without(table, "refit")
    (table.data / "all.parquet").write_bytes((table.data / "train.parquet").read_bytes())
    with pytest.raises(ToolRefused, match=r"leaves the refit out\. The model that was scored is there"):
        finish("tree-1", time_s=5)
