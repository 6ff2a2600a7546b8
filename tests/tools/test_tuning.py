from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.candidates import leaderboard, load_candidate, load_oof
from tools.constraints import Constraints
from tools.fairness import disparities, groups_of
from tools.objectives import Objective
from tools.problem import load_problem
from tools.samplers import Pruner, Sampler
from tools.spec import ToolRefused
from tools.training import train
from tools.tuner import Value
from tools.tuning import tune
from tools.workspace import Workspace


def test_tuning_starts_from_the_best_and_goes_on(open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    train(["tree"], time_s=5)
    before = leaderboard(space)[0]
    found = tune("tree", trials=12, time_s=300)
    assert found.trials_done + found.trials_pruned == 12
    assert found.improved
    assert found.gain == pytest.approx(before.score - found.candidate.score)
    assert found.candidate.name == "tree-tuned-1"
    problem = load_problem(space)
    assert problem.score(load_oof(space, "tree-tuned-1", problem)) == pytest.approx(found.candidate.score)
    again = tune("tree", trials=2, time_s=300)
    assert again.trials_in_study == 14
    assert again.candidate.score <= found.candidate.score


def test_the_same_seed_finds_the_same(
    open_workspace: Open, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_workspace("diabetes")
    first = tune("linear", trials=6, time_s=300)
    other: Path = tmp_path_factory.mktemp("work")
    monkeypatch.setenv("MLTEAM_WORK", str(other))
    second = tune("linear", trials=6, time_s=300)
    assert (first.params, first.candidate.score, first.trials_pruned) == (second.params, second.candidate.score, second.trials_pruned)
    assert first.candidate.name == "linear-tuned-1"


@pytest.mark.parametrize(
    ("sampler", "pruner"), [("tpe", "hyperband"), ("random", "successive_halving"), ("grid", "median"), ("tpe", "none")]
)
def test_every_sampler_and_pruner_begins_with_the_best_known_and_keeps_what_it_finds(
    sampler: Sampler, pruner: Pruner, open_workspace: Open
) -> None:
    space = open_workspace("diabetes", folds=4)
    train(["tree"], time_s=5)
    before = leaderboard(space)[0]
    found = tune("tree", trials=9, time_s=300, sampler=sampler, pruner=pruner)
    assert (found.sampler, found.pruner) == (sampler, pruner)
    assert found.trials_done + found.trials_pruned == 9
    assert found.candidate.score <= before.score
    first = trials_of(space)[0]
    assert first.state == optuna.trial.TrialState.COMPLETE
    assert first.value == before.score, "the search starts from what is known"
    if pruner == "none":
        assert found.trials_pruned == 0


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_equal_seeds_find_equal_things_on_one_core_and_on_two(
    sampler: str, open_workspace: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    space = open_workspace("breast_cancer")
    call = f"tune('lightgbm', trials=5, time_s=300, sampler={sampler!r}, pruner='hyperband')"
    code = f"from tools.tuning import tune; print({call}.model_dump_json())"
    told = []
    for cores in ("1", "2"):
        env = {**os.environ, "MLTEAM_DATA": str(space.data), "MLTEAM_WORK": str(tmp_path_factory.mktemp("work")), "OMP_NUM_THREADS": cores}
        done = subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True, check=True)
        told.append(json.loads(done.stdout.splitlines()[-1]))
    assert told[0]["params"] == told[1]["params"]
    assert told[0]["trials_pruned"] == told[1]["trials_pruned"]
    assert told[0]["candidate"]["score"] == pytest.approx(told[1]["candidate"]["score"], abs=1e-9)


def test_successive_halving_gives_most_trials_up_early(open_workspace: Open) -> None:
    space = open_workspace("diabetes", folds=5)
    thorough = tune("tree", trials=16, time_s=300, sampler="random", pruner="none")
    shutil.rmtree(space.work)
    halved = tune("tree", trials=16, time_s=300, sampler="random", pruner="successive_halving")
    assert thorough.trials_pruned == 0
    assert halved.trials_pruned >= 8
    folds = [len(trial.intermediate_values) for trial in trials_of(space)]
    assert set(folds) <= {1, 2, 4, 5}, "trials end at the rungs alone"
    assert sum(folds) < 0.6 * 16 * 5


def test_a_given_grid_is_tried_whole_and_what_it_leaves_out_stays(open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    train(["tree"], time_s=5)
    leaf = leaderboard(space)[0].params["min_samples_leaf"]
    found = tune("tree", time_s=300, pruner="none", grid={"max_depth": [2, 3, 4]})
    assert found.sampler == "grid"
    assert found.trials_done == 4, "the starting point, and three of the grid: then there is nothing left"
    assert sorted(trial.params["max_depth"] for trial in trials_of(space)[1:]) == [2, 3, 4]
    assert {trial.params["min_samples_leaf"] for trial in trials_of(space)} == {leaf}
    again = tune("tree", time_s=300, pruner="none", grid={"max_depth": [3, 5]})
    assert again.trials_done == 1, "what was tried is not tried again"


@pytest.mark.parametrize(
    ("grid", "why"),
    [
        ({"depth": [3]}, "no parameter 'depth' is searched; there are max_depth, min_samples_leaf"),
        ({"max_depth": [3, 99]}, "max_depth=99: expected whole numbers from 2 to 16"),
        ({"max_depth": ["deep"]}, "max_depth='deep': expected whole numbers"),
        ({"max_depth": []}, "0 points, expected 1 to 512"),
    ],
)
def test_a_grid_that_is_none_of_the_space_is_refused(grid: dict[str, list[Value]], why: str, open_workspace: Open) -> None:
    open_workspace("diabetes")
    with pytest.raises(ToolRefused, match=why):
        tune("tree", grid=grid)


def test_beside_the_best_the_next_trials_stay_for_a_blend(open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    train(["tree"], time_s=5)
    before = leaderboard(space)[0]
    found = tune("tree", trials=16, time_s=300, pruner="none")
    made = [c for c in leaderboard(space) if c.name.startswith("tree-tuned")]
    scores = sorted(trial.value for trial in trials_of(space)[1:] if trial.value is not None)
    best = found.candidate if found.improved else before
    assert [c.score for c in made] == pytest.approx([s for s in scores[:4] if s - best.score <= 2 * best.std_error])
    assert len(made) > 1
    assert len({str(c.params) for c in [before, *made]}) == len(made) + 1, "no configuration twice"
    problem = load_problem(space)
    for candidate in made:
        assert problem.score(load_oof(space, candidate.name, problem)) == pytest.approx(candidate.score)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_several_objectives_leave_their_front_as_candidates_and_tell_the_knee(sampler: Sampler, open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    train(["tree"], time_s=5)
    before = leaderboard(space)[0]
    found = tune("tree", trials=14, time_s=300, sampler=sampler, objectives=["score", "size"])
    assert (found.objectives, found.pruner, found.trials_pruned) == (["score", "size"], "none", 0)
    assert len(found.front) >= 2
    scores, sizes = ([point.values[name] for point in found.front] for name in ("score", "size"))
    assert scores == sorted(scores), "of an error the smallest first"
    assert sizes == sorted(sizes, reverse=True), "who is worse in one is better in the other"
    assert [point.knee for point in found.front].count(True) == 1
    assert found.candidate.name == (found.front[0].candidate if found.improved else before.name)
    problem = load_problem(space)
    for point in found.front:
        assert problem.score(load_oof(space, point.candidate, problem)) == pytest.approx(point.values["score"])
    again = tune("tree", trials=2, time_s=300, sampler=sampler, objectives=["score", "size"])
    assert again.trials_in_study == 16


def test_latency_is_an_objective_and_size_as_well(open_workspace: Open) -> None:
    space = open_workspace("wine")
    train(["tree"], per_family=1, time_s=60)
    found = tune("tree", trials=4, time_s=300, objectives=["score", "latency", "size"])
    assert found.front
    for point in found.front:  # what is weighed is what the record says, and what a constraint bounds
        record = load_candidate(space, point.candidate)
        assert point.values == {"score": record.score, "latency": record.latency_ms, "size": record.size_mb}
        assert all(value > 0 for value in point.values.values())


def test_fairness_is_an_objective_where_the_search_sees_the_sensitive_column(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"group": rng.choice(["a", "b"], 400), "x": rng.normal(size=400), "noise": rng.normal(size=400)})
    # Of group b the column says little, so a deep tree finds its positives less often.
    table["y"] = np.where(table["group"] == "a", table["x"] > 0, table["x"] + 2 * rng.normal(size=400) > 0).astype(str)
    space = open_workspace(table, "y", constraints=Constraints(sensitive="group"))
    found = tune("tree", trials=8, time_s=300, objectives=["score", "fairness"])
    problem = load_problem(space)
    for point in found.front:
        oof = load_oof(space, point.candidate, problem)
        told = disparities("binary", problem.y, [oof], groups_of(problem.X["group"]))
        assert point.values["fairness"] == told["tpr"] < 1
    assert max(point.values["fairness"] for point in found.front) > 0.1, "no tree treats both alike here and still predicts"


@pytest.mark.parametrize(
    ("sensitive", "why"), [(None, "fairness needs a sensitive column"), ("kept_back", "'kept_back', which is kept from the search")]
)
def test_fairness_needs_a_column_that_the_search_sees(sensitive: str | None, why: str, open_workspace: Open) -> None:
    open_workspace("wine", constraints=Constraints(sensitive=sensitive))
    with pytest.raises(ToolRefused, match=why):
        tune("tree", objectives=["score", "fairness"])


@pytest.mark.parametrize("objectives", [["latency"], ["latency", "score"], ["score", "size", "size"], []])
def test_objectives_that_are_none_are_refused(objectives: list[Objective], open_workspace: Open) -> None:
    open_workspace("wine")
    with pytest.raises(ToolRefused, match="expected score first"):
        tune("tree", objectives=objectives)


def test_refusals(open_workspace: Open) -> None:
    open_workspace("wine")
    with pytest.raises(ToolRefused, match="nothing to tune"):
        tune("dummy")
    with pytest.raises(ToolRefused, match="unknown family 'svm'"):
        tune("svm")


@pytest.mark.parametrize(
    ("family", "trained", "how"),
    [
        ("tree", True, {}),
        ("random_forest", False, {}),
        ("tree", True, {"pruner": "hyperband"}),
        ("tree", True, {"sampler": "grid", "pruner": "successive_halving"}),
        ("tree", True, {"sampler": "nsga2", "objectives": ["score", "size"]}),
    ],
)
def test_a_call_that_was_cut_off_goes_on_and_ends_as_an_undisturbed_one(
    family: str, trained: bool, how: dict[str, Any], open_workspace: Open
) -> None:
    """The process is killed in the middle of a trial, so that the trial is left as running and the best one's predictions are gone."""
    undisturbed = open_workspace("wine")
    if trained:
        train([family], time_s=5, per_family=1)
    whole = tune(family, trials=7, time_s=300, **how)
    expected = leaderboard(undisturbed)
    shutil.rmtree(undisturbed.data)
    shutil.rmtree(undisturbed.work)

    space = open_workspace("wine")
    if trained:
        train([family], time_s=5, per_family=1)
    code = f"from tools.tuning import tune; tune({family!r}, trials=7, time_s=300, **{how!r})"
    env = {**os.environ, "MLTEAM_DATA": str(space.data), "MLTEAM_WORK": str(space.work)}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and finished_trials(space.studies) < 4:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.kill()
    assert finished_trials(space.studies) < 7
    taken_up = tune(family, trials=7, time_s=300, **how)
    alike = {"trials_done", "trials_pruned", "trials_in_study", "params", "improved", "gain", "front"}
    assert taken_up.model_dump(include=alike) == whole.model_dump(include=alike)
    assert [(c.name, c.score) for c in leaderboard(space)] == [(c.name, c.score) for c in expected]


def trials_of(space: Workspace) -> list[optuna.trial.FrozenTrial]:
    """Trials of the one study there is."""
    storage = f"sqlite:///{space.studies}"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).trials


def finished_trials(studies: Path) -> int:
    if not studies.exists():
        return 0
    with closing(sqlite3.connect(f"file:{studies}?mode=ro", uri=True)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')").fetchone()[0])
        except sqlite3.OperationalError:
            return 0
