from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.conftest import Open
from tools.candidates import leaderboard, load_oof
from tools.problem import load_problem
from tools.spec import ToolRefused
from tools.training import train
from tools.tuning import tune


def test_tuning_starts_from_the_best_and_goes_on(open_workspace: Open) -> None:
    space = open_workspace("breast_cancer")
    train(["tree"], time_s=5)
    before = leaderboard(space)[0]
    found = tune("tree", trials=12, time_s=60)
    assert found.trials_done + found.trials_pruned == 12
    assert found.improved
    assert found.gain == pytest.approx(found.candidate.score - before.score)
    assert found.candidate.name == "tree-tuned-1"
    problem = load_problem(space)
    assert problem.score(load_oof(space, "tree-tuned-1", problem)) == pytest.approx(found.candidate.score)
    again = tune("tree", trials=2, time_s=60)
    assert again.trials_in_study == 14
    assert again.candidate.score >= found.candidate.score


def test_the_same_seed_finds_the_same(
    open_workspace: Open, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_workspace("diabetes")
    first = tune("linear", trials=6, time_s=60)
    other: Path = tmp_path_factory.mktemp("work")
    monkeypatch.setenv("MLTEAM_WORK", str(other))
    second = tune("linear", trials=6, time_s=60)
    assert (first.params, first.candidate.score, first.trials_pruned) == (second.params, second.candidate.score, second.trials_pruned)
    assert first.candidate.name == "linear-tuned-1"


def test_refusals(open_workspace: Open) -> None:
    open_workspace("wine")
    with pytest.raises(ToolRefused, match="nothing to tune"):
        tune("dummy")
    with pytest.raises(ToolRefused, match="unknown family 'svm'"):
        tune("svm")
