from __future__ import annotations

import numpy as np
import pytest

from tests.tools.conftest import Open
from tools.candidates import CandidateSpec
from tools.crossval import evaluate_candidate, setting_for, threads
from tools.deadline import Deadline, DeadlineReached
from tools.families import family
from tools.preparation import Preparation, choose_columns
from tools.problem import Problem, load_problem
from tools.refitting import average, refit, refit_iterations


def opened(open_workspace: Open, table: str) -> tuple[Problem, Preparation]:
    problem = load_problem(open_workspace(table))
    return problem, choose_columns(problem, name="default", drop=[], text=True, dates=True)


def spec(problem: Problem, preparation: Preparation, name: str) -> CandidateSpec:
    params = family(name).default(setting_for(problem, preparation))[0]
    return CandidateSpec(name="trial", family=name, params=params, preparation="default")


def test_without_a_deadline_the_same_comes_out(open_workspace: Open) -> None:
    problem, preparation = opened(open_workspace, "diabetes")
    wanted = spec(problem, preparation, "lightgbm")
    first, second = (evaluate_candidate(wanted, problem, preparation, Deadline()) for _ in range(2))
    assert np.array_equal(first.oof, second.oof)
    assert first.candidate.params == wanted.params
    assert len(first.candidate.iterations) == 3
    assert not first.candidate.cut_short


def test_folds_are_told_and_can_end_the_evaluation(open_workspace: Open) -> None:
    problem, preparation = opened(open_workspace, "wine")
    told: list[int] = []

    def after(fold: int, score: float | None) -> None:
        told.append(fold)
        if fold == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_candidate(spec(problem, preparation, "tree"), problem, preparation, Deadline(), after_fold=after)
    assert told == [0, 1]


def test_short_time_is_told_and_no_time_gives_nothing(open_workspace: Open) -> None:
    problem, preparation = opened(open_workspace, "diabetes")
    wanted = spec(problem, preparation, "catboost")
    short = evaluate_candidate(wanted, problem, preparation, Deadline(60), target=Deadline(0.1))
    assert short.candidate.params["learning_rate"] > wanted.params["learning_rate"]
    with pytest.raises(DeadlineReached):
        evaluate_candidate(wanted, problem, preparation, Deadline(0))


def test_a_refit_takes_the_folds_iterations_and_averages_seeds(open_workspace: Open) -> None:
    problem, preparation = opened(open_workspace, "diabetes")
    candidate = evaluate_candidate(spec(problem, preparation, "lightgbm"), problem, preparation, Deadline()).candidate
    rounds = refit_iterations(candidate, problem.contract)
    assert rounds is not None
    assert np.mean(candidate.iterations) <= rounds <= 1.3 * np.mean(candidate.iterations) + 1
    fits = refit(candidate, problem, preparation, Deadline(60))
    assert len(fits) == family("lightgbm").bags
    assert {fitted.iterations for fitted in fits} == {rounds}
    assert np.allclose(average(fits, problem.X), np.mean([fitted.predict(problem.X) for fitted in fits], axis=0))


@pytest.mark.parametrize(("table", "others"), [("wine", 57), ("diabetes", 335)])
def test_one_fold_that_goes_on_for_long_does_not_make_classifiers_sure_of_themselves(open_workspace: Open, table: str, others: int) -> None:
    problem, preparation = opened(open_workspace, table)
    made = evaluate_candidate(spec(problem, preparation, "dummy"), problem, preparation, Deadline()).candidate
    record = made.model_copy(update={"iterations": [20, 20, 20, 1280], "n_folds": 4})
    for name, rounds in {"lightgbm": others, "xgboost": others, "catboost": 335, "mlp": 335}.items():
        growth = 1 if name == "mlp" else 1 + 0.5 / 3
        assert refit_iterations(record.model_copy(update={"family": name}), problem.contract) == pytest.approx(rounds * growth, abs=1), name


def test_a_first_refit_that_cannot_be_cut_short_may_go_on(open_workspace: Open) -> None:
    problem, preparation = opened(open_workspace, "diabetes")
    candidate = evaluate_candidate(spec(problem, preparation, "linear"), problem, preparation, Deadline()).candidate
    with pytest.raises(DeadlineReached):
        refit(candidate, problem, preparation, Deadline(0))
    with pytest.raises(DeadlineReached):
        refit(candidate, problem, preparation, Deadline(0), Deadline(0))
    assert len(refit(candidate, problem, preparation, Deadline(0), Deadline(600))) == 1


def test_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads() >= 1


def test_fits_that_cannot_be_cut_short_have_the_whole_time(open_workspace: Open) -> None:
    problem, preparation = opened(open_workspace, "wine")
    found = evaluate_candidate(spec(problem, preparation, "linear"), problem, preparation, Deadline(60), target=Deadline(0))
    assert not found.candidate.cut_short
