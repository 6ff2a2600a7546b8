"""Every scheme where the truth is known: no skill in noise, intervals that cover chance, no profit from rows that belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from tests.hosting import Hosting
from tools.candidates import leaderboard
from tools.deadline import Deadline
from tools.intake import fetch_data
from tools.metrics import Interval, bootstrap_interval
from tools.model import fit_model
from tools.predictions import read_predictions, write_predictions
from tools.problem import encode_target, load_problem
from tools.sealing import seal_holdout
from tools.training import train
from tools.workspace import workspace

DATASETS = 20
SCHEMES: dict[str, dict[str, Any]] = {
    "repeated": {"repeats": 2, "folds": 3},
    "group": {"group": "who", "folds": 3, "holdout": 0.4},
    "sliding with a gap": {"time_column": "step", "window": "sliding", "gap": "5", "folds": 3},
    "loo": {"folds": "loo", "holdout": 0.75, "metric": "accuracy"},
}


def noise(seed: int, rows: int = 160) -> pd.DataFrame:
    """Rows of four of one `who`, who are all alike and have one label: what is learnt of one row is known of the others."""
    rng = np.random.default_rng(seed)
    who, step = np.arange(rows) // 4, np.arange(rows)
    own = rng.normal(size=(rows // 4, 3))[who] + 0.01 * rng.normal(size=(rows, 3))
    y = rng.choice(["no", "yes"], rows // 4)[who]
    return pd.DataFrame(own, columns=["a", "b", "c"]).assign(who=[f"w{i}" for i in who], step=step, y=y)


def independent(seed: int, rows: int = 160) -> pd.DataFrame:
    """The same columns where no row knows of another."""
    rng = np.random.default_rng(seed)
    return noise(seed, rows).assign(
        a=rng.normal(size=rows), b=rng.normal(size=rows), c=rng.normal(size=rows), y=rng.choice(["no", "yes"], rows)
    )


def played(folder: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[Hosting, float, Interval]:
    """The run, the score of its tree out of fold, and the holdout's interval as the vault has it."""
    folder.mkdir()
    frame.to_csv(folder / "t.csv", index=False)
    h = Hosting(folder / "runs", folder / "t.csv", target="y", **settings)
    fetch_data(h.host)
    seal_holdout(h.host)
    monkeypatch.setenv("MLTEAM_DATA", str(h.run.data))
    monkeypatch.setenv("MLTEAM_WORK", str(h.run.work))
    train(["tree"], per_family=1, time_s=60)
    space = workspace()
    record = leaderboard(space)[0]
    model = fit_model(space, record, load_problem(space), Deadline(60))
    path = h.run.work / "predictions" / "tree.parquet"
    write_predictions(path, h.vault.contract, model.predict_table(space.table("holdout")))
    return h, record.score, h.vault.score_holdout("tree", path)[0]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_in_noise_intervals_cover_chance_at_their_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Of 20 intervals of 95 % so many hold chance that fewer come up in one of a thousand tries: 15 or more."""
    make = noise if scheme == "group" else independent
    found = [played(tmp_path / str(seed), make(seed), monkeypatch, **SCHEMES[scheme]) for seed in range(DATASETS)]
    assert sum(interval.low <= 0.5 <= interval.high for _, _, interval in found) >= binom.ppf(0.001, DATASETS, 0.95) == 15
    if scheme == "loo":
        return  # its accuracy is below chance in noise: a row that is left out makes its class the rarer one
    scores = np.array([score for _, score, _ in found])
    assert abs(scores.mean() - 0.5) < 4 * scores.std(ddof=1) / np.sqrt(DATASETS)


@pytest.mark.slow
def test_rows_that_belong_together_give_each_other_away_unless_they_are_kept_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leak, and the control: with shuffled rows the same noise looks learnt, in cross-validation and on the holdout alike."""
    for seed in range(3):
        _, apart, held = played(tmp_path / f"kept{seed}", noise(seed), monkeypatch, group="who", folds=3, holdout=0.4)
        _, leaked, too_good = played(tmp_path / f"shuffled{seed}", noise(seed).drop(columns="who"), monkeypatch, repeats=2)
        assert leaked > 0.75 > apart
        assert too_good.low > 0.55
        assert held.low < 0.6


@pytest.mark.slow
def test_neighbours_in_time_give_each_other_away_unless_the_past_alone_is_learnt_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random walk: a row between two others is known, the next one hardly."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        walk = pd.DataFrame({"step": np.arange(200), "x": rng.normal(size=200), "y": np.cumsum(rng.normal(size=200))})
        settings: dict[str, Any] = {"metric": "r2", "folds": 4}
        _, leaked, too_good = played(tmp_path / f"shuffled{seed}", walk, monkeypatch, **settings)
        _, ahead, held = played(tmp_path / f"ordered{seed}", walk, monkeypatch, time_column="step", gap="10", **settings)
        assert leaked > 0.7
        assert too_good.score > 0.7
        assert ahead < leaked - 0.2
        assert held.score < 0.2


@pytest.mark.slow
def test_rows_of_a_group_drawn_one_by_one_make_intervals_too_narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the vault draws whole groups: four rows alike tell no more than one."""
    narrow = []
    for seed in range(4):
        h, _, interval = played(tmp_path / str(seed), noise(seed), monkeypatch, **SCHEMES["group"])
        contract, work = h.vault.contract, h.run.work
        predictions = read_predictions(work / "predictions" / "tree.parquet", contract, contract.rows_holdout)
        y = encode_target(pd.read_parquet(h.run.vault / "holdout_labels.parquet"), contract)
        by_rows = bootstrap_interval("roc_auc", "binary", y, predictions)
        narrow.append((by_rows.high - by_rows.low) / (interval.high - interval.low))
    assert np.mean(narrow) < 0.75
