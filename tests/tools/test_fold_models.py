from __future__ import annotations

import numpy as np
import pytest

from tests.tools.conftest import Open
from tools.candidates import CandidateSpec, free_name, load_candidate, write_candidate
from tools.constraints import Constraints
from tools.crossval import evaluate_candidate, setting_for
from tools.deadline import Deadline
from tools.ensembling import ensemble
from tools.evaluation import evaluate
from tools.families import family
from tools.finishing import finish
from tools.fold_models import FoldModels, averageable, instead_of_fits, load_fold_models
from tools.model import fit_model
from tools.predictions import read_predictions
from tools.preparation import load_preparation
from tools.problem import load_problem
from tools.training import train
from tools.tuning import tune
from tools.workspace import Workspace


def trained(space: Workspace, name: str, dear_s: float = 0.0) -> str:
    """A candidate whose folds' fits are on file where they took `dear_s` seconds."""
    problem = load_problem(space)
    preparation = load_preparation(space, "default", problem)
    params = family(name).default(setting_for(problem, preparation))[0]
    spec = CandidateSpec(name=free_name(space, name), family=name, params=params, preparation="default")
    keeper = FoldModels(space, spec.name, dear_s)
    evaluated = evaluate_candidate(spec, problem, preparation, Deadline(60), keeper=keeper)
    write_candidate(space, evaluated.candidate, problem, evaluated.oof, evaluated.before)
    keeper.keep(evaluated.candidate)
    return spec.name


@pytest.mark.parametrize("table", ["wine", "diabetes", "bands", "shapes"])
def test_the_fits_on_file_are_those_of_the_folds(open_workspace: Open, table: str) -> None:
    """Each predicts the rows that it did not see as the record says."""
    space = open_workspace(table)
    record = load_candidate(space, trained(space, "lightgbm"))
    problem = load_problem(space)
    model = fit_model(space, record, problem, Deadline(60), averaged=[record.name])
    assert len(model.members[0].fits) == record.n_folds
    oof = problem.empty_oof()
    for part, fitted in zip(problem.parts, load_fold_models(space, record), strict=True):
        check = problem.scheme.rows(part)[1]
        oof[check] = fitted.predict(problem.X.iloc[check])
    assert problem.score(problem.decide(problem.calibrate(oof)[1])[1]) == pytest.approx(record.score)


def test_what_is_dear_is_averaged_and_the_rest_is_fitted(open_workspace: Open) -> None:
    space = open_workspace("breast_cancer")
    dear, other = trained(space, "extra_trees"), trained(space, "linear")
    blend = ensemble([dear, other])
    members = [load_candidate(space, name) for name in (dear, other)]
    first, last = sorted(members, key=lambda record: -record.refit_seconds)
    assert instead_of_fits(space, members, load_problem(space), None) == []
    assert instead_of_fits(space, members, load_problem(space), 60.0) == []
    assert instead_of_fits(space, members, load_problem(space), last.refit_seconds) == [first.name]
    found = evaluate(blend.candidate.name, time_s=60, refit_s=0.0)
    assert set(found.averaged) == {member.name for member in blend.members}
    fitted = evaluate(blend.candidate.name, time_s=60)
    assert fitted.averaged == []
    said = [read_predictions(space.work / each.predictions, space.contract, space.contract.rows_holdout) for each in (found, fitted)]
    assert np.allclose(said[0].sum(axis=1), 1)
    space.table("train").to_parquet(space.data / "all.parquet", index=False)
    assert finish(blend.candidate.name, time_s=60).members
    assert not space.fold_models.exists(), "what is packaged is fitted on all rows, and nobody asks for the folds' fits any more"


def test_nothing_stands_for_a_model_that_is_bounded_or_learns_from_a_past(open_workspace: Open) -> None:
    space = open_workspace("wine", constraints=Constraints(max_latency_ms=1000))
    record = load_candidate(space, trained(space, "linear"))
    assert instead_of_fits(space, [record], load_problem(space), 0.0) == []
    assert not averageable(load_problem(space))


def test_fits_of_another_candidate_of_the_name_do_not_count(open_workspace: Open) -> None:
    space = open_workspace("wine")
    record = load_candidate(space, trained(space, "linear"))
    problem = load_problem(space)
    assert instead_of_fits(space, [record], problem, 0.0) == [record.name]
    changed = record.model_copy(update={"params": {**record.params, "C": 0.5}})
    assert instead_of_fits(space, [changed], problem, 0.0) == []
    (space.fold_models / record.name / "1.pickle").unlink()
    assert instead_of_fits(space, [record], problem, 0.0) == []


def test_quick_fits_are_not_written_and_a_search_leaves_none_behind(open_workspace: Open) -> None:
    space = open_workspace("wine")
    name = trained(space, "tree", dear_s=60)
    assert instead_of_fits(space, [load_candidate(space, name)], load_problem(space), 0.0) == []
    train(["linear"], time_s=10)
    tune("linear", trials=3, time_s=60)
    assert not list(space.fold_models.glob(".*")), "stages are kept or discarded"
