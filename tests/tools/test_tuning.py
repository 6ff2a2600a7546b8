from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.tools.conftest import Open
from tools.candidates import leaderboard, load_oof
from tools.problem import load_problem
from tools.spec import ToolRefused
from tools.training import train
from tools.tuning import tune


def test_tuning_starts_from_the_best_and_goes_on(open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    train(["tree"], time_s=5)
    before = leaderboard(space)[0]
    found = tune("tree", trials=12, time_s=60)
    assert found.trials_done + found.trials_pruned == 12
    assert found.improved
    assert found.gain == pytest.approx(before.score - found.candidate.score)
    assert found.candidate.name == "tree-tuned-1"
    problem = load_problem(space)
    assert problem.score(load_oof(space, "tree-tuned-1", problem)) == pytest.approx(found.candidate.score)
    again = tune("tree", trials=2, time_s=60)
    assert again.trials_in_study == 14
    assert again.candidate.score <= found.candidate.score


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


@pytest.mark.parametrize(("family", "trained"), [("tree", True), ("random_forest", False)])
def test_a_call_that_was_cut_off_goes_on_and_ends_as_an_undisturbed_one(family: str, trained: bool, open_workspace: Open) -> None:
    """The process is killed in the middle of a trial, so that the trial is left as running and the best one's predictions are gone."""
    undisturbed = open_workspace("wine")
    if trained:
        train([family], time_s=5, per_family=1)
    whole = tune(family, trials=7, time_s=60)
    expected = leaderboard(undisturbed)
    shutil.rmtree(undisturbed.data)
    shutil.rmtree(undisturbed.work)

    space = open_workspace("wine")
    if trained:
        train([family], time_s=5, per_family=1)
    code = f"from tools.tuning import tune; tune({family!r}, trials=7, time_s=60)"
    env = {**os.environ, "MLTEAM_DATA": str(space.data), "MLTEAM_WORK": str(space.work)}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and finished_trials(space.studies) < 4:
            continue
        process.kill()
    assert finished_trials(space.studies) < 7
    taken_up = tune(family, trials=7, time_s=60)
    alike = {"trials_done", "trials_pruned", "trials_in_study", "params", "improved", "gain"}
    assert taken_up.model_dump(include=alike) == whole.model_dump(include=alike)
    assert [(c.name, c.score) for c in leaderboard(space)] == [(c.name, c.score) for c in expected]


def finished_trials(studies: Path) -> int:
    if not studies.exists():
        return 0
    with closing(sqlite3.connect(f"file:{studies}?mode=ro", uri=True)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')").fetchone()[0])
        except sqlite3.OperationalError:
            return 0
