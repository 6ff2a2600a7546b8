from __future__ import annotations

import pytest

from tests.tools.conftest import Open
from tools.candidates import leaderboard, load_candidate, load_oof, write_candidate
from tools.ensembling import ensemble
from tools.problem import load_problem
from tools.spec import ToolRefused
from tools.training import train


def test_an_ensemble_is_a_candidate_with_honest_predictions(open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    train(["dummy", "linear", "tree", "extra_trees"], time_s=60)
    found = ensemble()
    record, problem = load_candidate(space, "ensemble"), load_problem(space)
    assert record.score == pytest.approx(problem.score(load_oof(space, "ensemble", problem)))
    assert sum(member.weight for member in record.members) == pytest.approx(1, abs=1e-4)
    assert "dummy-1" not in {member.name for member in record.members}
    assert found.recommended == ("ensemble" if found.gain >= -4 * found.gain_std_error else found.best_single)
    assert found.real == (found.gain > max(0.0, found.gain_std_error))
    assert ensemble().candidate.name == "ensemble", "the same members, as after a call that was cut off, make the same candidate"
    assert ensemble(["tree-1"]).candidate.name == "ensemble-2"


def test_the_best_candidate_is_not_left_out_for_what_it_takes(open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    train(["tree", "linear", "extra_trees"], time_s=60, per_family=1)
    problem = load_problem(space)
    best, *others = leaderboard(space)
    slow = best.model_copy(update={"fit_seconds": 1000 * sum(other.fit_seconds for other in others)})
    write_candidate(space, slow, problem, load_oof(space, best.name, problem))
    found = ensemble(refit_s=0.01)
    assert best.name in {member.name for member in found.members}
    assert len(found.members) > 1
    assert found.refit_seconds <= 1.5 * slow.refit_seconds
    quick = ensemble([other.name for other in others], refit_s=0.0)
    assert quick.refit_seconds <= 1.5 * others[0].refit_seconds, "the bound holds where the best takes little"


def test_named_candidates_alone_are_used(open_workspace: Open) -> None:
    open_workspace("wine")
    train(["linear", "tree"], time_s=4)
    found = ensemble(["tree-1"])
    assert [member.name for member in found.members] == ["tree-1"]
    assert found.gain == pytest.approx(0)
    assert not found.real
    with pytest.raises(ToolRefused, match="is an ensemble itself"):
        ensemble(["ensemble"])
    with pytest.raises(ToolRefused, match="no candidate 'nope'"):
        ensemble(["nope"])


def test_without_candidates_the_next_step_is_told(open_workspace: Open) -> None:
    open_workspace("wine")
    with pytest.raises(ToolRefused, match="call train first"):
        ensemble()
