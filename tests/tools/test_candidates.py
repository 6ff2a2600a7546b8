from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tools.conftest import Open
from tools.candidates import Candidate, free_name, leaderboard, load_candidate, load_oof, paired_error, standard_error, write_candidate
from tools.problem import load_problem
from tools.spec import ToolRefused
from tools.workspace import Workspace


def record(space: Workspace, name: str, level: float) -> Candidate:
    """Write a candidate that predicts one value everywhere."""
    problem = load_problem(space)
    oof = np.full(problem.n_rows, level)
    made = Candidate(
        name=name,
        family="dummy",
        params={},
        preparation="default",
        metric="rmse",
        score=problem.score(oof),
        std_error=0.0,
        fold_scores=problem.fold_scores(oof),
        n_folds=3,
        fit_seconds=0.0,
        predict_ms_per_row=0.0,
    )
    write_candidate(space, made, problem, oof)
    return made


def test_candidates_are_written_whole_and_ranked(open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    far, near = record(space, "far-1", 1000.0), record(space, "near-1", 150.0)
    (space.candidates / ".half.tmp").mkdir()
    assert leaderboard(space) == [near, far]
    assert load_candidate(space, "far-1") == far
    assert set(load_oof(space, "near-1", load_problem(space))) == {150.0}
    assert free_name(space, "far") == "far-2"
    replaced = record(space, "far-1", 100.0)
    assert load_candidate(space, "far-1") == replaced


@pytest.mark.parametrize("name", ["nope", "..", "../work", ""])
def test_strange_names_are_refused(open_workspace: Open, name: str) -> None:
    space = open_workspace("diabetes")
    with pytest.raises(ToolRefused, match="no candidate"):
        load_candidate(space, name)


def test_errors_of_means() -> None:
    assert standard_error([1.0]) == 0
    assert standard_error([1.0, 2.0, 3.0]) == pytest.approx(1 / np.sqrt(3))
    assert paired_error([1.0, 2.0, 3.0], [0.5, 1.5, 2.5]) == 0


def test_a_notebook_that_runs_again_takes_what_the_clock_did_not_make(open_workspace: Open, tmp_path: Path) -> None:
    space = open_workspace("diabetes")
    made = record(space, "forest-1", 150.0)
    again = Workspace(space.data, tmp_path / "replay", recorded=space.work)
    assert load_candidate(again, "forest-1") == made
    assert [c.name for c in leaderboard(again)] == ["forest-1"]
    with pytest.raises(ToolRefused, match="no candidate 'other-1'"):
        load_candidate(again, "other-1")
