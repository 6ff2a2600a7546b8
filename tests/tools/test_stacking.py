from __future__ import annotations

import shutil
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.candidates import Candidate, load_candidate, load_oof
from tools.constraints import Constraints
from tools.deadline import Deadline, DeadlineReached
from tools.ensembling import MOST_MEMBERS, ensemble
from tools.model import FittedModel, fit_model, members_of
from tools.preparation import load_preparation
from tools.problem import Problem, load_problem
from tools.saving import describe, save_model
from tools.stacking import FEWEST_READ, choose_inputs, fit_stack, stackable
from tools.training import train
from tools.workspace import Workspace


def cubes(rows: int = 900) -> pd.DataFrame:
    """A cube of a sum: a linear model finds the sum, and something behind it must find the cube."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 8))
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(8)])
    return frame.assign(y=(X @ np.linspace(0.2, 0.5, 8)) ** 3 + 0.1 * rng.normal(size=rows))


@pytest.fixture
def stacked(open_workspace: Open) -> tuple[Workspace, Problem, Candidate]:
    space = open_workspace(cubes(), "y", "regression")
    train(["linear", "knn", "extra_trees"], time_s=30, per_family=1)
    found = ensemble()
    assert found.stack is not None
    assert found.recommended == "ensemble"
    return space, load_problem(space), load_candidate(space, "ensemble")


def test_a_second_layer_that_gains_is_kept_and_predicts_what_it_was_scored_on(stacked: tuple[Workspace, Problem, Candidate]) -> None:
    space, problem, record = stacked
    assert record.stack is not None
    alone = min(load_candidate(space, name).score for name in record.stack.inputs)
    assert record.score < 0.9 * alone
    assert record.score == pytest.approx(problem.score(load_oof(space, "ensemble", problem)))
    holdout = space.table("holdout")
    truth = cubes()["y"].to_numpy()[np.arange(len(cubes())) % 4 == 3]
    model = fit_model(space, record, problem, Deadline(60))
    assert np.sqrt(np.mean((model.predict_table(holdout) - truth) ** 2)) < 0.9 * alone, "on rows that nobody has seen"


def test_the_prediction_is_the_average_of_the_members_with_the_part_of_the_layer(stacked: tuple[Workspace, Problem, Candidate]) -> None:
    space, problem, record = stacked
    assert record.stack is not None
    assert {r.name: w for r, w in members_of(space, record)} == dict.fromkeys(record.stack.inputs, 0.0) | {
        m.name: m.weight for m in record.members
    }
    model = fit_model(space, record, problem, Deadline(60))
    holdout = space.table("holdout")
    assert model.stack is not None
    said = {m.candidate.name: m.predict(problem.X[: len(holdout)]) for m in model.members}
    average = sum(m.weight * said[m.candidate.name] for m in model.members)
    layer = model.stack.fitted.predict(pd.DataFrame({str(i): said[name] for i, name in enumerate(record.stack.inputs)}))
    expected = (1 - record.stack.share) * average + record.stack.share * layer
    assert np.allclose(model.predict_table(space.table("train").head(len(holdout))), expected)


def test_a_saved_model_predicts_as_before_and_tells_of_its_layer(stacked: tuple[Workspace, Problem, Candidate]) -> None:
    space, problem, record = stacked
    model = fit_model(space, record, problem, Deadline(60))
    save_model(space.model, model, "ensemble", refitted=False)
    loaded: FittedModel = joblib.load(space.model / "pipeline.joblib")
    assert np.array_equal(loaded.predict_table(space.table("holdout")), model.predict_table(space.table("holdout")))
    assert record.stack is not None
    assert describe(model, "ensemble")["stack"]["inputs"] == record.stack.inputs


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_noise_no_layer_finds_skill(open_workspace: Open, seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = pd.DataFrame(rng.normal(size=(700, 5)), columns=list("abcde"))
    space = open_workspace(noise.assign(y=rng.normal(size=700)), "y", "regression")
    train(["dummy", "linear", "knn", "tree", "extra_trees"], time_s=20, per_family=1)
    found = ensemble()
    assert found.candidate.score > 0.99 * load_candidate(space, "dummy-1").score, "an error that noise explains, as without any model"


@pytest.mark.parametrize(("rows", "bounds", "expected"), [(900, {}, True), (400, {}, False), (900, {"max_latency_ms": 50.0}, False)])
def test_who_may_have_a_layer(open_workspace: Open, rows: int, bounds: dict[str, float], expected: bool) -> None:
    problem = load_problem(open_workspace(cubes(rows), "y", "regression"))
    contract = problem.contract.model_copy(update={"constraints": Constraints(**bounds)})
    assert stackable(Problem(contract, problem.schema, problem.X, problem.y, problem.folds)) is expected


def test_the_members_and_the_best_others_are_asked_as_far_as_they_can_be_fitted_again(
    stacked: tuple[Workspace, Problem, Candidate],
) -> None:
    space, _, record = stacked
    assert record.stack is not None
    best_first = [load_candidate(space, name) for name in ("linear-1", "knn-1", "extra_trees-1")]
    assert choose_inputs(best_first, ["knn-1"], 0, None) == ["knn-1", "linear-1", "extra_trees-1"]
    assert choose_inputs(best_first, ["knn-1"], 0, best_first[1].refit_seconds + best_first[0].refit_seconds) == ["knn-1", "linear-1"]
    assert len(choose_inputs(best_first, [], 100, None)) == 2, "a column for each class of each input"


def test_without_time_there_is_no_layer(stacked: tuple[Workspace, Problem, Candidate]) -> None:
    space, problem, _ = stacked
    said = np.stack([load_oof(space, name, problem) for name in ("linear-1", "knn-1", "extra_trees-1")])
    with pytest.raises(DeadlineReached):
        fit_stack(said, said[0], ["linear-1", "knn-1", "extra_trees-1"], problem, Deadline(0))


def places(rows: int = 2400) -> pd.DataFrame:
    """In one place a straight line holds, in the other steps that few models find: who is right depends on the place."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(rows, 4))
    steps = np.where((X[:, 1] > 0) ^ (X[:, 2] > 0), 2.0, -2.0)
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(4)])
    return frame.assign(
        place=np.where(X[:, 3] > 0, "here", "there"), y=np.where(X[:, 3] > 0, 2 * X[:, 0], steps) + 0.2 * rng.normal(size=rows)
    )


@pytest.fixture
def reading(open_workspace: Open) -> tuple[Workspace, Problem, Candidate]:
    space = open_workspace(places(), "y", "regression")
    train(["linear", "knn", "tree"], time_s=30, per_family=1)
    found = ensemble(time_s=120)
    assert found.stack is not None
    assert found.stack.preparation == "default"
    return space, load_problem(space), load_candidate(space, "ensemble")


def test_a_layer_that_reads_the_rows_learns_where_to_trust_whom(reading: tuple[Workspace, Problem, Candidate]) -> None:
    space, problem, record = reading
    alone = min(load_candidate(space, name).score for name in ("linear-1", "knn-1", "tree-1"))
    assert record.score < 0.9 * alone
    assert record.score == pytest.approx(problem.score(load_oof(space, "ensemble", problem)))
    model = fit_model(space, record, problem, Deadline(60))
    truth = places()["y"].to_numpy()[np.arange(len(places())) % 4 == 3]
    said = model.predict_table(space.table("holdout"))
    assert np.sqrt(np.mean((said - truth) ** 2)) < 1.1 * record.score, "on rows that nobody has seen"
    assert model.predict_few([{column.name: 0.0 for column in model.schema.columns}]) is None, "it needs a table"
    save_model(space.model, model, "ensemble", refitted=False)
    loaded: FittedModel = joblib.load(space.model / "pipeline.joblib")
    assert np.array_equal(loaded.predict_table(space.table("holdout")), said)


def test_its_forests_know_the_rows_that_the_model_learns_from_and_no_others(reading: tuple[Workspace, Problem, Candidate]) -> None:
    space, problem, record = reading

    def seen(model: FittedModel) -> int:
        assert model.stack is not None
        assert model.stack.forests is not None
        return int(model.stack.forests.grown[0].estimators_[0].tree_.weighted_n_node_samples[0])

    scored = fit_model(space, record, problem, Deadline(60))
    assert seen(scored) == problem.n_rows
    learn = np.arange(0, problem.n_rows, 2)
    part = replace(
        problem, X=problem.X.iloc[learn].reset_index(drop=True), y=problem.y[learn], folds=np.full(len(learn), -1), validation=None
    )
    assert seen(fit_model(space, record, part, Deadline(60), learn=learn)) == len(learn)
    frame = pd.concat([problem.X, space.table("holdout")], ignore_index=True)[list(problem.X.columns)]
    every = replace(problem, X=frame, y=places()["y"].to_numpy(), folds=np.full(len(frame), -1), validation=None)
    assert seen(fit_model(space, record, every, Deadline(60), scored=scored)) == len(every.X)
    assert seen(fit_model(space, record, every, Deadline(60))) == problem.n_rows, "of the others nobody has said anything"


def test_few_rows_are_not_read(open_workspace: Open) -> None:
    space = open_workspace(places(1400), "y", "regression")
    train(["linear", "knn", "tree"], time_s=30, per_family=1)
    found = ensemble(time_s=120)
    assert load_problem(space).n_rows < FEWEST_READ
    assert found.stack is None or found.stack.preparation is None


def test_no_time_for_reading_leaves_the_layer_that_reads_predictions(reading: tuple[Workspace, Problem, Candidate]) -> None:
    space, problem, _ = reading
    names = ["linear-1", "knn-1", "tree-1"]
    said = np.stack([load_oof(space, name, problem) for name in names])
    preparation = load_preparation(space, "default", problem)
    found = fit_stack(said, said[1], names, problem, Short(60), preparation)
    assert found is not None
    assert found.stack.preparation is None


class Short(Deadline):
    """A deadline that has no time for a piece of more than three quarters of it."""

    def share(self, seconds: float) -> Deadline:
        return super().share(0.0 if seconds > 0.75 * self.remaining() else seconds)


def test_barred_families_are_no_layer(reading: tuple[Workspace, Problem, Candidate]) -> None:
    space, problem, _ = reading
    names = ["linear-1", "knn-1", "tree-1"]
    said = np.stack([load_oof(space, name, problem) for name in names])
    preparation = load_preparation(space, "default", problem)
    found = fit_stack(said, said[1], names, problem, Deadline(120), preparation, ["lightgbm"])
    assert found is not None
    assert (found.stack.family, found.stack.preparation) == ("catboost", "default")
    found = fit_stack(said, said[1], names, problem, Deadline(120), preparation, ["extra_trees"])
    assert found is not None
    assert found.stack.preparation is None, "its forests are of a kind that is barred"
    assert fit_stack(said, said[1], names, problem, Deadline(120), preparation, ["lightgbm", "catboost"]) is None


def test_code_that_leads_does_not_stop_the_layer(reading: tuple[Workspace, Problem, Candidate]) -> None:
    space, _, _ = reading
    best = load_candidate(space, "tree-1")
    (space.candidates / "mine").mkdir()
    for path in (space.candidates / "tree-1").iterdir():
        shutil.copy(path, space.candidates / "mine")
    record = best.model_copy(update={"name": "mine", "family": "code", "preparation": "raw", "score": 0.5 * best.score})
    (space.candidates / "mine" / "candidate.json").write_text(record.model_dump_json())
    found = ensemble(time_s=120)
    assert found.best_single == "mine"
    assert found.stack is not None
    assert found.stack.preparation == "default"


def test_of_many_candidates_the_best_of_each_family_are_weighed(reading: tuple[Workspace, Problem, Candidate]) -> None:
    space, _, _ = reading
    knn = load_candidate(space, "knn-1")
    for i in range(MOST_MEMBERS):
        shutil.copytree(space.candidates / "knn-1", space.candidates / f"knn-copy-{i}")
        record = knn.model_copy(update={"name": f"knn-copy-{i}", "score": knn.score * (1 - 1e-6 * i)})
        (space.candidates / record.name / "candidate.json").write_text(record.model_dump_json())
    found = ensemble(time_s=60)
    weighed = {member.name for member in found.members} | set(found.stack.inputs if found.stack else [])
    assert {"linear-1", "tree-1"} & weighed, "copies of one that is better leave the others their places"
