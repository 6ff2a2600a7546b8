from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.candidates import Candidate, load_candidate, load_oof
from tools.constraints import Constraints
from tools.deadline import Deadline, DeadlineReached
from tools.ensembling import ensemble
from tools.model import FittedModel, fit_model, members_of
from tools.problem import Problem, load_problem
from tools.saving import describe, save_model
from tools.stacking import choose_inputs, fit_stack, stackable
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
