"""The engine on tables whose truth is known: it finds no skill in noise, and a column that gives the target away is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from tests.tools.conftest import TABLES, Open, write_workspace
from tools.candidates import leaderboard, load_oof
from tools.deadline import Deadline
from tools.eda import profile_table
from tools.metrics import Interval, bootstrap_interval
from tools.model import fit_model
from tools.optimism import Optimism, selection_optimism
from tools.problem import load_problem
from tools.training import train

DATASETS = 20


def noise(seed: int, rows: int = 320) -> pd.DataFrame:
    """Numbers, categories and a target that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 6)), columns=[f"x{i}" for i in range(6)])
    return frame.assign(colour=rng.choice(["red", "green", "blue"], rows), y=rng.choice(["no", "yes"], rows))


def best_of_the_engine(folder: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> tuple[Interval, float, Optimism]:
    """The holdout's interval of the candidate with the best score out of fold, that score, and its optimism."""
    space = write_workspace(folder, frame, "y", "binary")
    monkeypatch.setenv("MLTEAM_DATA", str(space.data))
    monkeypatch.setenv("MLTEAM_WORK", str(space.work))
    train(["linear", "tree"], per_family=2, time_s=20)
    problem, ranked = load_problem(space), leaderboard(space)
    model = fit_model(space, ranked[0], problem, Deadline(20))
    held = frame["y"][np.arange(len(frame)) % 4 == 3].map({"no": 0, "yes": 1}).to_numpy()
    interval = bootstrap_interval("roc_auc", "binary", held, model.predict_table(space.table("holdout")))
    pick = selection_optimism("roc_auc", "binary", problem.y, [lambda name=c.name: load_oof(space, name, problem) for c in ranked])
    assert pick is not None
    return interval, ranked[0].score, pick


@pytest.mark.slow
def test_no_skill_is_found_in_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20 intervals of 95 % so many hold chance, an AUC of 0.5, that fewer come up in one of a thousand tries: 15 or more."""
    found = [best_of_the_engine(tmp_path / str(seed), noise(seed), monkeypatch) for seed in range(DATASETS)]
    bound = int(binom.ppf(0.001, DATASETS, 0.95))
    assert bound == 15
    assert sum(interval.low <= 0.5 <= interval.high for interval, _, _ in found) >= bound
    # The score that a candidate was picked for is flattered; without its optimism it is chance again.
    scores = np.array([score for _, score, _ in found])
    corrected = np.array([score - pick.optimism for _, score, pick in found])
    error = corrected.std(ddof=1) / np.sqrt(DATASETS)
    assert scores.mean() > corrected.mean()
    assert abs(corrected.mean() - 0.5) < 4 * error
    assert np.mean([interval.score for interval, _, _ in found]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("table", ["breast_cancer", "wine", "diabetes"])
def test_a_column_that_is_the_target_is_told(open_workspace: Open, table: str) -> None:
    make, target, task = TABLES[table]
    frame = make()
    open_workspace(frame.assign(planted=frame[target]), target, task)
    told = {warned.kind: warned.columns for warned in profile_table().warnings}
    assert told["possible_leak"] == ["planted"]


def test_a_column_that_is_the_target_under_another_name_is_told(open_workspace: Open) -> None:
    frame = noise(0)
    codes = np.where(frame["y"] == "yes", "closed", "open")
    codes[:3] = "unknown"
    open_workspace(frame.assign(state=codes), "y", "binary")
    assert [warned.columns for warned in profile_table().warnings if warned.kind == "possible_leak"] == [["state"]]


def test_noise_is_no_leak(open_workspace: Open) -> None:
    open_workspace(noise(1), "y", "binary")
    assert "possible_leak" not in {warned.kind for warned in profile_table().warnings}
